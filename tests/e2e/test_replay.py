"""`tessera serve --record` and `tessera simulate --replay`: what a server decided is decided again, however it ended."""

import json
import pathlib
import shutil
import subprocess
import threading
import urllib.request

import numpy as np
import pytest

from clients import Client, InferenceServerException
from serving import BINARY, Serve
from small_models import put, simple, slow_rows

ONES = np.ones((1, 16), np.int32)
ROWS = np.ones((2, 4), np.float32)


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "models"
    put(folder, "simple", simple())
    put(folder, "rows", slow_rows(width=1024, layers=32),
        config='max_batch_size: 8\ndynamic_batching {}\nparameters { key: "slo_ms" value { string_value: "200" } }\n')
    return folder


def replay(journal, *arguments):
    return subprocess.run([BINARY, "simulate", "--replay", journal, *arguments], capture_output=True, text=True, timeout=120)


def busy_server(repository, journal, log):
    """Two models under load from several clients, one loaded anew, an objective and the policy changed; some requests are refused."""
    server = Serve(repository, "--record", journal, "--model-control-mode", "explicit", "--load-model", "*", log=log)

    def ask(path, body):
        request = urllib.request.Request(f"http://{server.http}/v2/{path}", data=json.dumps(body).encode())
        return urllib.request.urlopen(request, timeout=30).status

    def work(number):
        with Client(server, "grpc" if number % 2 else "http") as client:
            for i in range(40):
                try:
                    if number < 3:
                        client.infer("rows", {"IN": ROWS}, timeout=500 if i % 8 == 7 else None)
                    else:
                        client.simple(ONES, ONES)
                except InferenceServerException as error:
                    assert "objective" in str(error) or "timeout" in str(error).lower(), error

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    assert ask("tessera/models/rows/params", {"slo_ms": 100}) == 200
    assert ask("repository/models/simple/load", {}) == 200
    assert ask("tessera/policy", {"policy": "temporal"}) == 200
    for thread in threads:
        thread.join()
    return server


def test_what_a_server_decided_is_decided_again(repository, tmp_path):
    journal = tmp_path / "journal"
    server = busy_server(repository, journal, tmp_path / "log")
    assert server.stop() == 0, server.log()
    done = replay(journal, "--json", tmp_path / "out.json")
    assert done.returncode == 0 and done.stderr == "", done
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["same"] and result["ended_early"] == "" and result["decisions"] > 200, result
    models = {model["name"]: model for model in result["models"]}
    # As often as they were asked; warming up is none of the scheduler's. A run takes longer than the timeouts.
    assert models["rows"]["requests"] == 120 and models["simple"]["requests"] == 120, models
    assert models["rows"]["rejected"] > 0, models
    assert f"{result['decisions']} of {result['decisions']} decisions the same" in done.stdout
    assert "early" not in done.stdout


def test_a_killed_server_leaves_what_it_decided_until_then(repository, tmp_path):
    journal = tmp_path / "journal"
    server = busy_server(repository, journal, tmp_path / "log")
    server.process.kill()
    server.process.wait()
    done = replay(journal)
    assert done.returncode == 0 and done.stderr == "", done
    assert "the recording ends early" in done.stdout and "killed" in done.stdout and "decisions the same" in done.stdout


def test_what_is_no_recording_is_refused(tmp_path):
    (tmp_path / "text").write_text("hello\n")
    done = replay(tmp_path / "text")
    assert done.returncode == 1 and "not a journal" in done.stderr and len(done.stderr.splitlines()) == 1, done
    done = replay(tmp_path / "none")
    assert done.returncode == 1 and "none" in done.stderr and len(done.stderr.splitlines()) == 1, done
    done = replay(tmp_path / "text", "--policy", "temporal")
    assert done.returncode != 0 and "--policy" in done.stderr and "no effect with --replay" in done.stderr, done


def test_a_place_that_cannot_be_written_ends_the_start(repository, tmp_path):
    done = subprocess.run([BINARY, "serve", "--model-repository", repository, "--record", tmp_path / "nowhere" / "journal",
                           "--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "cannot record into" in done.stderr, done


def test_a_damaged_recording_says_where(repository, tmp_path):
    journal = tmp_path / "journal"
    server = Serve(repository, "--record", journal, log=tmp_path / "log")
    assert server.stop() == 0, server.log()
    bytes_of = bytearray(journal.read_bytes())
    bytes_of[len(bytes_of) // 2] ^= 1
    damaged = pathlib.Path(shutil.copy(journal, tmp_path / "damaged"))
    damaged.write_bytes(bytes_of)
    done = replay(damaged)
    assert done.returncode == 1 and "damaged at byte" in done.stderr, done

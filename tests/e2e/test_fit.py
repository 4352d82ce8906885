"""`tessera fit`: a question before a load, answered from measured latencies."""

import json
import subprocess
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from clients import Client
from serving import BINARY, ROOT
from small_models import put, simple, slow_rows

PROFILES = ROOT / "bench/profiles/h100.json"


def fit(*arguments, profiles=PROFILES):
    return subprocess.run([BINARY, "fit", "--profiles", profiles, *map(str, arguments)], capture_output=True, text=True,
                          timeout=300)


@pytest.fixture
def workload(tmp_path):
    file = tmp_path / "w.json"
    file.write_text(json.dumps({"name": "two", "source": "a test", "tenants": [
        {"model": "resnet50", "rate": 300, "slo_ms": 20},
        {"model": "vgg19", "rate": 200, "slo_ms": 40}]}))
    return file


def test_what_fits_says_what_it_costs(workload, tmp_path):
    done = fit("--workload", workload, "--model", "mobilenet_v2", "--slo-ms", 20, "--rate", 100, "--json",
               tmp_path / "a.json")
    assert done.returncode == 0 and done.stderr == "" and "It fits" in done.stdout, done
    answer = json.loads((tmp_path / "a.json").read_text())
    assert answer["fits"] and answer["would_fit"] is None and answer["complete"] and answer["sure"]
    assert [tenant["name"] for tenant in answer["tenants"]] == ["resnet50", "vgg19", "mobilenet_v2"]
    assert [tenant["candidate"] for tenant in answer["tenants"]] == [False, False, True]
    for tenant in answer["tenants"]:
        assert tenant["with"]["attainment"] >= 0.99 and not tenant["suffers"]
        assert tenant["candidate"] or tenant["without"]["attainment"] >= 0.99


def test_what_does_not_fit_says_what_would(workload, tmp_path):
    done = fit("--workload", workload, "--model", "vgg19", "--slo-ms", 40, "--rate", 9000, "--requests", 1000, "--json",
               tmp_path / "a.json")
    assert done.returncode == 3 and "It does not fit" in done.stdout, done
    answer = json.loads((tmp_path / "a.json").read_text())
    assert not answer["fits"] and any(tenant["suffers"] for tenant in answer["tenants"])
    assert answer["tenants"][2]["name"] == "another vgg19"
    would = answer["would_fit"]
    assert 500 < would["rate"] < 9000 and 2 <= would["devices"] <= 16
    # What it says would do, does.
    lower = fit("--workload", workload, "--model", "vgg19", "--slo-ms", 40, "--rate", would["rate"], "--requests", 1000)
    assert lower.returncode == 0, lower
    more = fit("--workload", workload, "--model", "vgg19", "--slo-ms", 40, "--rate", 9000, "--requests", 1000, "--devices",
               would["devices"])
    assert more.returncode == 0, more


def test_an_objective_below_every_run_needs_a_wider_one():
    done = fit("--model", "resnet50", "--slo-ms", "0.1", "--rate", 50)
    assert done.returncode == 3 and "an objective of" in done.stdout and "devices" not in done.stdout, done


def test_the_same_question_has_the_same_answer(workload):
    ask = ("--workload", workload, "--model", "resnet50", "--slo-ms", 20, "--rate", 100, "--policy", "temporal")
    assert fit(*ask).stdout == fit(*ask).stdout


def test_what_is_wrong_is_said_in_one_line(workload, tmp_path):
    for arguments, text in [
        (("--model", "nobody", "--slo-ms", 5, "--rate", 5), "no profile of model 'nobody'"),
        (("--model", "resnet50", "--slo-ms", 5, "--rate", 5, "--policy", "fancy"), "unknown policy"),
        (("--model", "resnet50", "--slo-ms", 5, "--rate", 5, "--device", "toaster"), "no device 'toaster'"),
        (("--model", "resnet50", "--slo-ms", 5, "--rate", 5, "--workload", workload, "--name", "vgg19"), "--name"),
        (("--model", "resnet50", "--slo-ms", 5, "--rate", 5, "--workload", tmp_path / "none"), "none"),
    ]:
        done = fit(*arguments)
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and text in done.stderr, done
    for arguments in [("--model", "resnet50"), ("--model", "resnet50", "--slo-ms", 0, "--rate", 5),
                      ("--model", "resnet50", "--slo-ms", 5, "--rate", -1)]:
        assert fit(*arguments).returncode == 2


# ---- The endpoint ----


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    put(folder, "rows", slow_rows(width=512), config="""
max_batch_size: 4
parameters { key: "slo_ms" value { string_value: "2000" } }
""")
    put(folder, "simple", simple(), config="max_batch_size: 8\n")
    return folder


def ask(server, body):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://{server.http}/v2/tessera/fit", data=data),
                                    timeout=60) as answer:
            return answer.status, json.loads(answer.read()), {}
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}"), error.headers


class Asking:
    """One client of `rows` without a pause."""

    def __init__(self, server):
        self._server, self._stop = server, threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self):
        with Client(self._server, "grpc") as client:
            while not self._stop.is_set():
                client.infer("rows", {"IN": np.ones((1, 4), np.float32)})

    def __enter__(self):
        self._thread.start()
        until = time.monotonic() + 30
        while self._server.metric("nv_inference_request_success", model="rows") < 20:
            assert time.monotonic() < until
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def test_a_server_answers_from_what_it_has_learned(serve, repository):
    server = serve(repository)
    with Asking(server):
        status, answer, _ = ask(server, {"model": "rows", "slo_ms": 5000, "rate": 0.5})
        assert status == 200 and answer["fits"] is True, answer
        names = [tenant["name"] for tenant in answer["tenants"]]
        assert names[-1] == "another rows" and "rows" in names, "who is asked for lately is there"
        there = answer["tenants"][names.index("rows")]
        assert there["rate"] > 1 and there["slo_ms"] == 2000 and there["without"]["attainment"] > 0.9
        # More than any host carries; its own latencies are in the question.
        status, answer, _ = ask(server, {"model": "new", "slo_ms": 50, "rate": 500,
                                         "points": [[1, 1, 40000], [1, 2, 40000], [4, 1, 160000], [4, 2, 160000]]})
        assert status == 200 and answer["fits"] is False, answer
        assert answer["tenants"][-1]["name"] == "another new" and answer["tenants"][-1]["suffers"]
        assert set(answer["would_fit"]) == {"rate", "slo_ms", "devices"}
    assert server.metric("nv_inference_request_failure", model="rows") == 0


@pytest.mark.parametrize("body, status, text", [
    ({"model": "nobody", "slo_ms": 5, "rate": 5}, 404, "no latencies are known of model 'nobody'"),
    ({"slo_ms": 5, "rate": 5}, 400, "model"),
    ({"model": "rows", "rate": 5}, 400, "slo_ms"),
    ({"model": "rows", "slo_ms": 5}, 400, "rate"),
    ({"model": "rows", "slo_ms": 0, "rate": 5}, 400, "slo_ms"),
    ({"model": "rows", "slo_ms": 5, "rate": -1}, 400, "rate"),
    ({"model": "rows", "slo_ms": 5, "rate": 5, "colour": 1}, 400, "colour"),
    ({"model": "x", "slo_ms": 5, "rate": 5, "points": [[1, 1]]}, 400, "a point is [rows, processors, microseconds]"),
    ({"model": "x", "slo_ms": 5, "rate": 5, "points": []}, 400, "points"),
    (b"{", 400, "body"),
    (b'{"model": "' + b"x" * (1 << 20) + b'"}', 413, "at most"),
])
def test_questions_that_are_wrong_are_told_why(server, body, status, text):
    code, answer, _ = ask(server, body)
    assert (code, text in answer["error"]) == (status, True), answer


def test_one_question_at_a_time(serve, repository):
    server = serve(repository)
    # Objectives that nothing meets are searched for long.
    heavy = {"model": "x", "slo_ms": 1, "rate": 5000, "max_batch": 1,
             "points": [[1, 1, 100], [1, 2, 90], [4, 1, 380], [4, 2, 200]]}
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask(server, heavy))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = sorted(status for status, _, _ in answers)
    assert codes[0] == 200 and set(codes) <= {200, 503}, answers
    for status, answer, headers in answers:
        if status == 503:
            assert "another question" in answer["error"] and headers["Retry-After"] == "1"
    assert ask(server, {"model": "x", "slo_ms": 500, "rate": 1, "points": [[1, 1, 100]]})[0] == 200

"""`tessera load` against real servers and pretended ones: what it counts, that stalls are seen, that it knows when it was late itself."""

import html.parser
import http.server
import json
import re
import signal
import subprocess
import threading
import time

import pytest

from serving import BINARY
from small_models import put, simple, slow_rows

METADATA = {"name": "m", "versions": ["1"], "platform": "test",
            "inputs": [{"name": "IN", "datatype": "FP32", "shape": [-1, 4]}],
            "outputs": [{"name": "OUT", "datatype": "FP32", "shape": [-1, 4]}]}


# The limit of lateness is 1 % of an objective as wide as this: 200 ms, which a busy machine keeps.
WIDE = 20000


def start(*arguments):
    return subprocess.Popen([str(BINARY), "load", *map(str, arguments)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def load(*arguments):
    done = start(*arguments)
    out, err = done.communicate(timeout=120)
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def fails_with(done, status, *parts):
    assert done.returncode == status, done
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    for part in parts:
        assert part in lines[0], lines
    return True


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    repository = tmp_path_factory.mktemp("load-models")
    put(repository, "simple", simple())
    put(repository, "slow", slow_rows(width=512, layers=2))
    return repository


@pytest.fixture(scope="module")
def target(models, tmp_path_factory):
    from serving import Serve
    with Serve(models, log=tmp_path_factory.mktemp("log") / "server.log") as running:
        yield running
        assert running.stop() == 0, running.log()


def url(server, protocol="http"):
    return f"{protocol}://{getattr(server, protocol)}"


def two_tenants(folder, **more):
    path = folder / "two.json"
    path.write_text(json.dumps({"name": "two", "source": "a test", "tenants": [
        {"name": "steady", "model": "simple", "rate": 60, "slo_ms": WIDE, "arrivals": {"process": "constant", "phase": 0.5}},
        {"name": "random", "model": "slow", "rate": 20, "slo_ms": WIDE},
        {"name": "background", "model": "simple", "outstanding": 2, "no_slo": True}], **more}))
    return path


def test_several_tenants_in_one_run(target, tmp_path):
    done = load("--url", url(target), "--workload", two_tenants(tmp_path), "--seconds", 2, "--warm-seconds", 0.5,
                "--json", tmp_path / "out.json")
    assert done.returncode == 0 and done.stderr == "", done
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["tenant", "SLO", "ms", "offered", "answered", "rejected", "failed", "p50", "ms", "p99",
                                "ms", "attainment"]
    assert [line.split()[0] for line in lines[1:5]] == ["steady", "random", "background", "all"]
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["valid"] and result["lateness"]["p99_ms"] <= result["lateness"]["limit_of_p99_ms"] == WIDE / 100
    steady, random, background = result["tenants"]
    for tenant in result["tenants"]:
        assert tenant["offered"] == tenant["answered"] > 0 and tenant["rejected"] == tenant["failed"] == 0
        assert 0 < tenant["p50_ms"] <= tenant["p99_ms"] <= tenant["p999_ms"]
    assert steady["offered"] == 120 and steady["attainment"] > 0.95
    assert 15 <= random["offered"] <= 70
    assert background["offered"] > 200 and "attainment" not in background
    assert sum(period["offered"] for period in result["periods"]) == steady["offered"] + random["offered"]
    assert len(result["periods"]) == 20
    assert result["timeline_step_seconds"] == 0.1 and abs(result["timeline_began_at"] + 2 - time.time()) < 20
    for tenant in result["tenants"]:
        timeline = tenant["timeline"]
        assert {len(column) for column in timeline.values()} == {20}
        assert all(sum(timeline[key]) == tenant[key] for key in ("offered", "answered", "met", "failed"))
        assert all((slowest > 0) == (answered > 0) for slowest, answered in zip(timeline["slowest_ms"], timeline["answered"]))


def test_a_seed_repeats_the_schedule(target, tmp_path):
    def offered(seed):
        done = load("--url", url(target), "--model", "simple", "--rate", 100, "--slo-ms", WIDE, "--seconds", 1, "--warm-seconds", 0,
                    "--seed", seed, "--json", tmp_path / "out.json")
        assert done.returncode == 0, done
        return [period["offered"] for period in json.loads((tmp_path / "out.json").read_text())["periods"]]

    assert offered(3) == offered(3)
    assert offered(3) != offered(4)


def test_closed_loop_and_an_objective_from_the_latency_alone(target, tmp_path):
    done = load("--url", url(target), "--model", "simple", "--model", "slow", "--outstanding", 3, "--rows", 2,
                "--slo-factor", 20, "--seconds", 1, "--json", tmp_path / "out.json")
    assert done.returncode == 0, done
    alone = [line for line in done.stderr.splitlines() if "alone, 1 row: " in line]
    assert len(alone) == 2
    result = json.loads((tmp_path / "out.json").read_text())
    for line, tenant in zip(alone, result["tenants"]):
        assert line.startswith(tenant["model"])
        measured = float(line.split()[-2])
        assert abs(tenant["slo_ms"] / 20 - measured) <= 0.006
        assert tenant["answered"] > 20 and tenant["rate"] == 0


def stopped(process, seconds):
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.send_signal(signal.SIGCONT)


def steady_run(server, folder, protocol="http", slo_ms=WIDE):
    """100 a second for 3 s."""
    path = folder / "steady.json"
    path.write_text(json.dumps({"name": "steady", "source": "a test", "tenants": [
        {"model": "simple", "rate": 100, "slo_ms": slo_ms, "arrivals": {"process": "constant"}}]}))
    running = start("--url", url(server, protocol), "--workload", path, "--seconds", 3, "--warm-seconds", 0.5, "--json",
                    folder / "out.json")
    time.sleep(1.5)
    return running


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_server_that_stalls_is_seen_by_every_request_that_was_to_be_sent_meanwhile(target, tmp_path, protocol):
    running = steady_run(target, tmp_path, protocol)
    stopped(target.process, 0.5)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 0, (out, err)
    result = json.loads((tmp_path / "out.json").read_text())
    tenant = result["tenants"][0]
    # 50 of 300 fall into the stall, each 10 ms less affected than the one before: 30 of them by more than 200 ms. A
    # generator that waits for answers would have had one.
    assert tenant["offered"] == tenant["answered"] == 300
    assert 400 <= tenant["p99_ms"] <= 900, tenant
    assert 120 <= tenant["p90_ms"] <= 450, tenant
    assert tenant["p50_ms"] < 200 and result["valid"]


def test_a_generator_that_stalls_marks_its_run_invalid(target, tmp_path):
    running = steady_run(target, tmp_path, slo_ms=100)
    stopped(running, 0.5)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 3, (out, err)
    assert "invalid: the schedule was not kept" in err and "lower the rate" in err and len(err.splitlines()) == 1
    result = json.loads((tmp_path / "out.json").read_text())
    assert not result["valid"] and "lateness" in result["invalid_because"]
    assert result["lateness"]["worst_ms"] >= 400
    # Its own delay counts as latency: nothing is made to look better than it was.
    assert result["tenants"][0]["offered"] == 300 and result["tenants"][0]["p99_ms"] >= 400


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_run_that_is_interrupted_tells_what_it_did(target, tmp_path, protocol):
    running = start("--url", url(target, protocol), "--model", "simple", "--rate", 100, "--slo-ms", WIDE, "--seconds", 600,
                    "--warm-seconds", 0.2, "--json", tmp_path / "out.json")
    time.sleep(1.5)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert running.returncode == 0 and "simple" in out, (out, err)
    result = json.loads((tmp_path / "out.json").read_text())
    tenant = result["tenants"][0]
    assert 0 < result["seconds"] < 20 and tenant["offered"] == tenant["answered"] > 0
    assert len(tenant["timeline"]["offered"]) <= 10 * result["seconds"] + 1


def test_an_interrupted_run_that_has_not_begun_ends_at_once():
    with Pretended(lambda handler: time.sleep(30)) as address:
        running = start("--url", address, "--model", "m", "--rate", 10, "--slo-factor", 10, "--seconds", 600)
        time.sleep(1)
        begin = time.monotonic()
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=20)
        assert running.returncode == 130 and time.monotonic() < begin + 5


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_refusals_are_no_failures(serve, tmp_path, protocol):
    put(tmp_path / "models", "slow", slow_rows(), config="max_batch_size: 1\n")
    server = serve(tmp_path / "models", "--max-waiting", "2")
    done = load("--url", url(server, protocol), "--model", "slow", "--outstanding", 32, "--seconds", 1, "--json",
                tmp_path / "out.json")
    assert done.returncode == 0, done
    tenant = json.loads((tmp_path / "out.json").read_text())["tenants"][0]
    assert tenant["answered"] > 5 and tenant["rejected"] > 50, tenant
    assert tenant["failed"] == 0 and tenant["offered"] == tenant["answered"] + tenant["rejected"], tenant


@pytest.mark.parametrize("protocol, words", [("http", "cannot connect: Connection refused"), ("grpc", "gRPC 14: ")])
def test_a_server_that_dies_fails_and_does_not_refuse(models, tmp_path, protocol, words):
    from serving import Serve
    server = Serve(models, log=tmp_path / "server.log")
    running = steady_run(server, tmp_path, protocol)
    server.process.kill()
    out, err = running.communicate(timeout=60)
    server.process.wait()
    tenant = json.loads((tmp_path / "out.json").read_text())["tenants"][0]
    assert tenant["offered"] == 300 and tenant["rejected"] == 0 and 50 <= tenant["answered"] <= 200, (tenant, out, err)
    assert tenant["failed"] == 300 - tenant["answered"]
    assert any(words in text for text in tenant["failures"]), tenant["failures"]


def test_a_server_in_this_process(models, tmp_path):
    done = load("--model-repository", models, "--device", "host", "--policy", "temporal", "--cache-dir", "",
                "--model", "simple", "--model", "slow", "--rows", 2, "--rate", 100, "--slo-ms", WIDE, "--seconds", 1, "--json",
                tmp_path / "out.json")
    assert done.returncode == 0, done
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["target"] == "in process, policy temporal"
    for tenant in result["tenants"]:
        assert tenant["offered"] == tenant["answered"] > 20 and tenant["attainment"] > 0.9
    unknown = load("--model-repository", models, "--cache-dir", "", "--model", "nobody", "--rate", 1)
    assert unknown.returncode == 1 and unknown.stderr.splitlines()[-1].startswith("tessera load: failed to load 'nobody'")
    assert fails_with(load("--model-repository", models, "--url", "a", "--model", "simple", "--rate", 1), 2, "--url")
    assert fails_with(load("--model-repository", models, "--cache-dir", "", "--model", "simple", "--rate", 1, "--rows", 1000), 1,
                      "at most")


def test_over_grpc_as_over_http(target, tmp_path):
    done = load("--url", url(target, "grpc"), "--workload", two_tenants(tmp_path), "--seconds", 1, "--warm-seconds", 0.5,
                "--json", tmp_path / "out.json")
    assert done.returncode == 0 and done.stderr == "", done
    for tenant in json.loads((tmp_path / "out.json").read_text())["tenants"]:
        assert tenant["offered"] == tenant["answered"] > 5, tenant
    assert fails_with(load("--url", "grpc://127.0.0.1:1", "--model", "simple", "--rate", 1), 1, "127.0.0.1:1", "gRPC 14")
    assert fails_with(load("--url", url(target, "grpc"), "--model", "nobody", "--rate", 1), 1, "model 'nobody'", "gRPC 5")


class Pretended(http.server.ThreadingHTTPServer):
    """A KServe v2 server whose inferences do what `infer` does with their handler."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, infer, metadata=METADATA):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self, status, body, **headers):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                text = metadata if isinstance(metadata, str) else json.dumps(metadata)
                self.answer(200, text.encode() if "models" in self.path else b"")

            def do_POST(self):
                self.body = self.rfile.read(int(self.headers["Content-Length"]))
                infer(self)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __enter__(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


def outcome(infer, folder, *flags, rate=50, status=0):
    with Pretended(infer) as address:
        done = load("--url", address, "--model", "m", "--rate", rate, "--slo-ms", WIDE, "--seconds", 1, "--warm-seconds", 0,
                    "--json", folder / "out.json", *flags)
    assert done.returncode == status, done
    return json.loads((folder / "out.json").read_text())["tenants"][0], done


def test_requests_are_what_the_protocol_says(tmp_path):
    seen = []

    def infer(handler):
        head = int(handler.headers["Inference-Header-Content-Length"])
        seen.append((handler.path, json.loads(handler.body[:head]), handler.body[head:]))
        handler.answer(200, b"{}")

    tenant, _ = outcome(infer, tmp_path, "--rows", "3")
    assert tenant["answered"] == tenant["offered"] > 20
    path, head, data = seen[0]
    assert path == "/v2/models/m/infer" and head["parameters"] == {"binary_data_output": True}
    assert head["inputs"] == [{"name": "IN", "shape": [3, 4], "datatype": "FP32", "parameters": {"binary_data_size": 48}}]
    assert len(data) == 48 and len(set(data)) > 10


def test_answers_in_chunks_and_connections_that_end(tmp_path):
    def chunks(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for part in (b"5\r\n{\"a\":\r\n", b"2\r\n1}\r\n", b"0\r\n\r\n"):
            handler.wfile.write(part)
            handler.wfile.flush()

    tenant, _ = outcome(chunks, tmp_path)
    assert tenant["answered"] == tenant["offered"] > 20
    tenant, _ = outcome(lambda handler: handler.answer(200, b"{}", Connection="close"), tmp_path)
    assert tenant["answered"] == tenant["offered"] > 20


def test_failures_are_told_apart(tmp_path):
    count = iter(range(10**9))

    def infer(handler):
        turn = next(count) % 3
        if turn == 0:
            handler.answer(503, b'{"error":"later"}')
        elif turn == 1:
            handler.answer(500, b'{"error":"no such luck"}')
        else:
            handler.close_connection = True  # without an answer

    tenant, done = outcome(infer, tmp_path)
    assert tenant["answered"] == 0 and tenant["attainment"] == 0 and tenant["rejected"] > 5
    assert set(tenant["failures"]) == {"HTTP 500: no such luck", "the server closed the connection instead of answering"}
    assert sum(tenant["failures"].values()) == tenant["failed"] == tenant["offered"] - tenant["rejected"]
    assert "failed: HTTP 500: no such luck" in done.stdout


def test_what_is_not_sent_counts_as_missed(tmp_path):
    def slow(handler):
        time.sleep(0.4)
        handler.answer(200, b"{}")

    tenant, _ = outcome(slow, tmp_path, "--in-flight", "4")
    assert 4 <= tenant["answered"] <= 16
    assert tenant["failed"] == tenant["offered"] - tenant["answered"] > 10
    assert list(tenant["failures"]) == ["not sent: too many were on their way already"]
    assert tenant["attainment"] < 0.5


def test_an_answer_that_never_comes_is_a_failure(tmp_path):
    tenant, _ = outcome(lambda handler: time.sleep(30), tmp_path, rate=20)
    assert tenant["answered"] == 0
    assert list(tenant["failures"]) == ["no answer 10 s after the end"]


@pytest.mark.parametrize("metadata, words", [
    ("<html>", "the metadata of model 'm':1:1"),
    ({"inputs": 3}, "no list of inputs"),
    ({"inputs": [{"name": "IN", "datatype": "FP32"}]}, "lacks its name, datatype or shape"),
    ({"inputs": [{"name": "IN", "datatype": "FP12", "shape": [1]}]}, "unknown type 'FP12'"),
    ({"inputs": [{"name": "IN", "datatype": "FP32", "shape": [0.5]}]}, "no whole number"),
    ({"inputs": [{"name": "IN", "datatype": "FP32", "shape": [1e11]}]}, "more than 256 MB"),
])
def test_metadata_that_is_none(metadata, words):
    with Pretended(None, metadata) as address:
        assert fails_with(load("--url", address, "--model", "m", "--rate", 1), 1, words)


def test_what_cannot_be_done_is_one_line(target, tmp_path):
    address = ["--url", url(target)]
    one = ["--model", "simple", "--rate", 10]
    assert fails_with(load("--url", "http://127.0.0.1:1", *one), 1, "127.0.0.1:1", "Connection refused")
    assert fails_with(load("--url", "https://127.0.0.1", *one), 1, "'https'", "http://HOST:PORT")
    assert fails_with(load("--url", "127.0.0.1:99999", *one), 1, "no port from 1 to 65535")
    assert fails_with(load("--url", "http://no-such-host.invalid", *one), 1, "no-such-host.invalid")
    assert fails_with(load(*address, "--model", "nobody", "--rate", 10), 1, "model 'nobody'", "HTTP 4")
    assert fails_with(load(*address, *one, "--shape", "INPUT0"), 2, "NAME:DIMS")
    assert fails_with(load(*address, *one, "--shape", "INPUT0:3,4"), 1, "'INPUT0'", "does not fit")
    assert fails_with(load(*address, "--model", "simple"), 2, "--rate", "--outstanding")
    assert fails_with(load(*address), 2, "--workload", "--model")
    assert fails_with(load(*address, "--workload", tmp_path / "none.json"), 1, "none.json")
    assert fails_with(load(*address, *one, "--rate", 0), 2, "--rate")
    done = load(*address, *one, "--seconds", 0.5, "--json", tmp_path / "no" / "out.json")
    assert done.returncode == 1 and "choose another --json" in done.stderr
    assert fails_with(load(*address, "--model", "simple", "--rate", 0.001, "--seconds", 0.1), 3, "raise --seconds")


class Page(html.parser.HTMLParser):
    """That every element is closed, and what text there is."""

    VOID = {"meta", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.tags = [], "", []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        assert not {"src", "href"} & {name for name, _ in attributes}, "needs something beside it"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_report_is_one_page_that_needs_nothing(target, tmp_path):
    path = tmp_path / "odd.json"
    path.write_text(json.dumps({"name": "odd <names>", "source": "a \"test\" & more", "tenants": [
        {"name": "<b>bold</b>", "model": "simple", "rate": 50, "slo_ms": WIDE}, {"model": "slow", "rate": 20}]}))
    done = load("--url", url(target), "--workload", path, "--seconds", 1, "--html", tmp_path / "out.html")
    assert done.returncode == 0, done
    page = Page((tmp_path / "out.html").read_text())
    assert page.tags.count("svg") == 4 and page.tags.count("polyline") == 2 + 2 + 2
    for part in ("odd <names>", "<b>bold</b>", 'a "test" & more', "Attainment", "Latencies", "Over time", "Goodput"):
        assert part in page.text, part
    assert load("--url", url(target), "--workload", path, "--seconds", 0.5, "--html", tmp_path / "no" / "a").returncode == 1


def test_in_this_process_the_report_shows_which_batch_ran_where(models, tmp_path):
    done = load("--model-repository", models, "--device", "host", "--cache-dir", "", "--model", "simple", "--model", "slow", "--rate", 100, "--slo-ms", WIDE,
                "--seconds", 1, "--html", tmp_path / "out.html", "--json", tmp_path / "out.json")
    assert done.returncode == 0 and "recording" not in done.stderr, done
    text = (tmp_path / "out.html").read_text()
    page = Page(text)
    assert page.tags.count("svg") == 4 + 2 and len(text) < 400_000
    answered = {tenant["name"]: tenant["answered"] for tenant in json.loads((tmp_path / "out.json").read_text())["tenants"]}
    for name, count in answered.items():
        # Each box tells of a batch; those of the first second are all, but what was running at its edges.
        assert 5 <= len(re.findall(rf"{name}: \d+ rows?, atoms? \d", page.text)) <= count + 3, (name, count)
    assert "Slices" in page.text and "Atoms were busy" in page.text
    assert fails_with(load("--model-repository", models, "--model", "simple", "--trials", "--rate", 5), 2, "--trials")
    assert fails_with(load("--model-repository", models, "--model", "simple", "--trials", "--json", tmp_path / "a"), 2, "stdout")


def test_in_this_process_the_objectives_of_a_workload_are_the_servers(models, tmp_path):
    def rejected(**tenant):
        (tmp_path / "w.json").write_text(json.dumps({"name": "w", "source": "a test", "tenants": [
            {"name": "t", "model": "slow", "rows": 4, "outstanding": 64, **tenant}]}))
        done = load("--model-repository", models, "--device", "host", "--cache-dir", "", "--workload", tmp_path / "w.json",
                    "--seconds", 1, "--json", tmp_path / "out.json")
        assert done.returncode == 0, done
        tenant = json.loads((tmp_path / "out.json").read_text())["tenants"][0]
        assert tenant["answered"] > 0, tenant
        return tenant["rejected"]

    # The last of 64 waits for many of the others.
    assert rejected(no_slo=True) == 0
    assert rejected(slo_factor=4) > 20
    assert rejected(slo_factor=4, best_effort=True) == 0


def test_a_search_finds_what_a_server_carries(tmp_path):
    one = threading.Lock()

    def infer(handler):
        with one:
            time.sleep(0.02)
        handler.answer(200, b"{}")

    with Pretended(infer) as address:
        done = load("--url", address, "--model", "m", "--slo-ms", 400, "--search", "--rate", 30, "--seeds", 2, "--least-requests", 100,
                    "--precision", 0.1, "--warm-seconds", 0.2, "--json", tmp_path / "out.json", "--html", tmp_path / "out.html")
    result = json.loads((tmp_path / "out.json").read_text())
    assert done.returncode == (0 if result["valid"] else 3), done  # this machine may be busy with more than this
    # One at a time, 20 ms and a little each: 50 a second, and somewhat more in runs as short as these.
    low, high = result["capacity_95"]
    assert 15 <= result["capacity"] <= 90 and low <= result["capacity"] <= high, result
    assert all(probe["passed"] == (probe["worst_attainment"] >= 0.99) for probe in result["probes"] if probe["complete"])
    assert done.stdout.startswith(f"capacity {result['capacity']:.1f} a second")
    page = Page((tmp_path / "out.html").read_text())
    assert "Goodput against rate" in page.text and page.tags.count("circle") == len(result["probes"])
    assert page.tags.count("svg") == 3


def test_arms_are_policies_in_turns(models, tmp_path):
    words = ["--model-repository", models, "--device", "host", "--cache-dir", "", "--model", "slow", "--rows", 4]
    quick = ["--seeds", 2, "--least-requests", 100, "--warm-seconds", 0.1, "--settle-seconds", 0.2]
    done = load(*words, *quick, "--slo-ms", WIDE, "--arm", "tessera=200", "--arm", "temporal:triton=1=200", "--json", tmp_path / "out.json",
                "--html", tmp_path / "out.html")
    result = json.loads((tmp_path / "out.json").read_text())
    assert done.returncode == (0 if result["valid"] else 3), done  # this machine may be busy with more than this
    assert result["target"] == "in process"
    assert [arm["policy"] for arm in result["arms"]] == ["tessera", "temporal:triton=1"]
    for arm in result["arms"]:
        # So little passes everywhere, and each is raised until its steps are used up.
        assert arm["verdict"] == "more than said" and arm["carried"] == pytest.approx(200 * 1.03**9, rel=1e-4)
        assert [round(probe["rate"] / arm["said"], 3) for probe in arm["probes"][:3]] == [0.97, 1.03, 1.061]
        assert all(probe["seeds"] == 2 and probe["tenants"][0]["offered"] >= 60 for probe in arm["probes"])
        for probe in arm["probes"]:
            assert probe["lateness"]["p50_ms"] <= probe["lateness"]["p99_ms"] and probe["lateness"]["limit_of_p99_ms"] == WIDE / 100
            assert 0 < probe["busy"]["share"] < 1 and probe["busy"]["seconds"] == pytest.approx(probe["seconds"], abs=0.5)
    assert "tessera  carries 261.0 a second, more than said (200.0)" in done.stdout
    page = Page((tmp_path / "out.html").read_text())
    # Attainment and goodput of all; latencies and slices of each.
    assert page.tags.count("svg") == 2 + 2 * 2 and page.tags.count("rect") >= 2 * 5
    for part in ("temporal:triton=1", "more than said", "Slices, while it settled", "slow: "):
        assert part in page.text, part

    assert fails_with(load(*words, "--arm", "tessera"), 2, "POLICY=RATE")
    assert fails_with(load(*words, "--arm", "nobody=5"), 2, "nobody")
    assert fails_with(load(*words, "--arm", "tessera=5", "--rate", 5), 2, "--arm")
    assert fails_with(load("--url", "http://127.0.0.1:1", "--model", "slow", "--arm", "tessera=5"), 2, "in this process")


def test_help_fits_a_screen():
    done = subprocess.run([BINARY, "load", "--help"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) <= 90 and max(map(len, lines)) <= 120

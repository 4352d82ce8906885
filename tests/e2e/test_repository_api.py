"""Loading and unloading while serving: what the repository extension promises, and what a bad repository may not do."""

import json
import os
import threading
import time
import urllib.parse

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from clients import PROTOCOLS, Client, InferenceServerException, refused
from raw_calls import get, grpc_call, post
from serving import Serve, ServeFailed
from small_models import busy, identity, put, simple, slow_rows
from onnx import TensorProto, helper, save

ONES = np.ones((1, 16))


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    put(folder, "simple", simple())
    return folder


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_load_unload_index(serve, repository, protocol):
    put(repository, "late", simple())
    server = serve(repository, load=["simple"])
    with Client(server, protocol) as client:
        def index():
            entries = client.raw.get_model_repository_index()
            if protocol == "grpc":
                return {e.name: e.state for e in entries.models}
            return {e["name"]: e.get("state", "") for e in entries}

        assert index()["simple"] == "READY" and index()["late"] in ("", "UNAVAILABLE")
        with pytest.raises(InferenceServerException, match="unknown model: 'late'"):
            client.simple(ONES, ONES, model="late")
        client.raw.load_model("late")
        assert index()["late"] == "READY"
        assert (client.simple(ONES, ONES, model="late")["OUTPUT0"] == 2).all()
        client.raw.unload_model("late")
        until = time.monotonic() + 10
        while client.raw.is_model_ready("late") and time.monotonic() < until:
            time.sleep(0.05)
        assert index()["late"] == "UNAVAILABLE"
        client.raw.unload_model("nobody")  # Triton: no error
        with pytest.raises(InferenceServerException,
                           match="failed to load 'nobody', failed to poll from model repository"):
            client.raw.load_model("nobody")


def test_explicit_calls_are_refused_in_other_modes(serve, repository):
    server = serve(repository, control="none")
    with Client(server, "http") as client:
        for call in (client.raw.load_model, client.raw.unload_model):
            with pytest.raises(InferenceServerException,
                               match="explicit model load / unload is not allowed if polling is enabled"):
                call("simple")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_failed_load_leaves_the_old_version_serving(serve, repository, protocol):
    server = serve(repository)
    with Client(server, protocol) as client:
        put(repository, "simple", b"this is no model")
        assert "simple" in refused(client.raw.load_model, "simple")
        assert (client.simple(ONES, ONES)["OUTPUT0"] == 2).all()


def test_reload_swaps_without_losing_a_request(serve, repository):
    server = serve(repository)
    wrong, stop = [], threading.Event()

    def work():
        with Client(server, "grpc") as client:
            while not stop.is_set():
                try:
                    if not (client.simple(ONES, ONES)["OUTPUT0"] == 2).all():
                        wrong.append("answer")
                except InferenceServerException as error:
                    wrong.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    with Client(server, "http") as client:
        for _ in range(5):
            client.raw.load_model("simple")
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:3]


def test_loading_does_not_hold_up_others(serve, repository):
    put(repository, "big", slow_rows(width=2048, layers=10))
    server = serve(repository, load=["simple"])
    with Client(server, "http") as client, Client(server, "http") as loader:
        client.simple(ONES, ONES)
        done = threading.Event()
        loading = threading.Thread(target=lambda: (loader.raw.load_model("big"), done.set()))
        loading.start()
        worst = 0.0
        while not done.is_set():
            begin = time.perf_counter()
            client.simple(ONES, ONES)
            assert client.raw.is_server_live()
            worst = max(worst, time.perf_counter() - begin)
        loading.join()
        assert worst < 0.5


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_load_with_config_and_files(serve, repository, tmp_path, protocol):
    server = serve(repository)
    other = tmp_path / "other.onnx"
    save(identity(TensorProto.FLOAT, ["batch", 3]), str(other))
    with Client(server, protocol) as client:
        client.raw.load_model("simple", config=json.dumps({"max_batch_size": 2}))
        config = client.raw.get_model_config("simple")
        assert (config["max_batch_size"] if protocol == "http" else config.config.max_batch_size) == 2
        config = json.dumps({"backend": "onnxruntime", "max_batch_size": 4})
        client.raw.load_model("brought", config=config, files={"file:1/model.onnx": other.read_bytes()})
        (out,) = client.infer("brought", {"IN": np.ones((1, 3), np.float32)}).values()
        assert (out == 1).all()
        refused(client.raw.load_model, "brought", config=config, files={"file:../../evil": b"x"})
        refused(client.raw.load_model, "brought", config="not json")
    assert not (repository / "evil").exists() and not (repository.parent / "evil").exists()


def test_unload_finishes_what_runs(serve, repository):
    put(repository, "busy", busy())
    server = serve(repository)
    with Client(server, "grpc") as client, Client(server, "http") as control:
        answers = []
        thread = threading.Thread(
            target=lambda: answers.append(client.infer("busy", {"TRIPS": np.array([1500], np.int64)})))
        thread.start()
        time.sleep(0.1)
        control.raw.unload_model("busy")
        thread.join()
        assert answers and answers[0]["OUT"][0] == 1500


def test_poll_mode_follows_the_folder(serve, repository):
    server = serve(repository, "--repository-poll-secs", "1", control="poll")
    with Client(server, "http") as client:
        put(repository, "new", simple())
        until = time.monotonic() + 20
        while not client.raw.is_model_ready("new") and time.monotonic() < until:
            time.sleep(0.1)
        assert (client.simple(ONES, ONES, model="new")["OUTPUT0"] == 2).all()


UNSUPPORTED = {
    "ensemble": 'platform: "ensemble"',
    "ensemble_scheduling": "ensemble_scheduling { step [] }",
    "sequence_batching": "sequence_batching {}",
    "decoupled": "model_transaction_policy { decoupled: true }",
    "KIND_GPU": "instance_group [{ kind: KIND_GPU }]",
    "gpus": "instance_group [{ kind: KIND_CPU gpus: [0] }]",
    "platform": 'platform: "tensorflow_savedmodel"',
    "response_cache": "response_cache { enable: true }",
    "no_such_field": "no_such_field: 1",
    "max_batch_size": "max_batch_size: -3",
    "slo_ms": 'parameters { key: "slo_ms" value { string_value: "fast" } }',
    "weight": 'parameters { key: "weight" value { string_value: "-1" } }',
    "reserved_share": 'parameters { key: "reserved_share" value { string_value: "2" } }',
    "INPUT9": 'input [{ name: "INPUT9" data_type: TYPE_INT32 dims: [16] }]',
    "TYPE_FP32": 'input [{ name: "INPUT0" data_type: TYPE_FP32 dims: [16] }]',
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A server with explicit control for all bad input, and its repository: each test brings models of its own."""
    folder = tmp_path_factory.mktemp("shared") / "repository"
    put(folder, "simple", simple())
    with Serve(folder, log=tmp_path_factory.mktemp("log") / "server.log", load=["simple"]) as running:
        yield running, folder
        assert running.stop() == 0, running.log()


@pytest.fixture(params=PROTOCOLS)
def client(shared, request):
    """After what happens with it, the model that served before still does."""
    with Client(shared[0], request.param) as made:
        yield made
        assert (made.simple(ONES, ONES)["OUTPUT0"] == 2).all()


@pytest.mark.parametrize("field", sorted(UNSUPPORTED))
def test_config_that_cannot_be_honoured_names_the_field(shared, client, field):
    put(shared[1], f"odd_{client.protocol}", simple(), config=UNSUPPORTED[field] + "\n")
    text = refused(client.raw.load_model, f"odd_{client.protocol}", unsupported=True)
    assert field.lower() in text.lower()


def _external(location):
    weights = TensorProto(name="W", data_type=TensorProto.INT32, dims=[16],
                          data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("length", "64")):
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    model = simple(batched=False)
    model.graph.initializer.append(weights)
    model.graph.node[0].input[1] = "W"
    return model.SerializeToString()


@pytest.mark.parametrize("location", ["../../secret.bin", "/etc/passwd", "link.bin", "missing.bin", "", "."])
def test_external_data_stays_in_its_folder(shared, client, location):
    repository = shared[1]
    (repository.parent / "secret.bin").write_bytes(b"s" * 64)
    folder = put(repository, "outside", _external(location))
    link = folder / "1" / "link.bin"
    if not link.is_symlink():
        link.symlink_to(repository.parent / "secret.bin")
    refused(client.raw.load_model, "outside")
    assert not client.raw.is_model_ready("outside")


@pytest.mark.parametrize("location", ["weights.bin", "below/weights.bin", "./weights.bin"])
def test_external_data_in_its_folder_is_used(shared, client, location):
    name = f"inside_{client.protocol}_{location.count('/')}"
    folder = put(shared[1], name, _external(location), config="max_batch_size: 0\n") / "1"
    (folder / location).parent.mkdir(exist_ok=True)
    (folder / location).write_bytes(np.full(16, 7, np.int32).tobytes())
    client.raw.load_model(name)
    assert (client.simple(ONES[0], ONES[0], model=name)["OUTPUT0"] == 8).all()


def test_links_out_of_the_repository_are_refused(shared, client, tmp_path):
    repository = shared[1]
    put(tmp_path, "stolen", simple())
    for name, target in (("stolen", tmp_path / "stolen"), ("stolen_file", tmp_path / "stolen" / "1" / "model.onnx")):
        link = repository / name if name == "stolen" else repository / name / "1" / "model.onnx"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    (repository.parent / "neighbour").mkdir(exist_ok=True)
    put(repository.parent, "neighbour", simple())
    for name in ("stolen", "stolen_file", "../neighbour", "..", ".", "a/b", "x" * 5000, "simple\0"):
        if client.protocol == "http":
            # The client library would take "..", "/" and the like for the path's own.
            path = f"/v2/repository/models/{urllib.parse.quote(name, safe='').replace('.', '%2e')}/load"
            status, text = post(shared[0], path, b"{}")
            assert status in (400, 404), (name, status, text)
        else:
            refused(client.raw.load_model, name)


CORRUPT = {"empty": b"", "zeros": b"\x00" * 1000, "a header": b"\x08\x08", "noise": os.urandom(5000),
           "cut short": simple().SerializeToString()[:-40]}


@pytest.mark.parametrize("content", sorted(CORRUPT))
def test_corrupt_model_files(shared, client, content):
    put(shared[1], "corrupt", CORRUPT[content])
    assert "corrupt" in refused(client.raw.load_model, "corrupt")


def test_files_replaced_while_loading(shared, client):
    """Rewritten in place, cut short and removed under the loader's hands: an error or a model, never the end."""
    name = f"moving_{client.protocol}"
    file = put(shared[1], name, simple()) / "1" / "model.onnx"
    whole = file.read_bytes()
    stop = threading.Event()

    def rewrite():
        while not stop.is_set():
            for content in (whole, whole[: len(whole) // 2], b"", whole + b"\x00" * 5):
                file.write_bytes(content)
                time.sleep(0.002)
            file.unlink()
            file.write_bytes(whole)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        until = time.monotonic() + 4
        while time.monotonic() < until:
            try:
                client.raw.load_model(name)
            except InferenceServerException as error:
                # Files that never rest are no mistake in the request.
                assert error.status() in ("400", "404", "503", "StatusCode.INVALID_ARGUMENT", "StatusCode.NOT_FOUND",
                                          "StatusCode.UNAVAILABLE"), str(error)
            assert (client.simple(ONES, ONES)["OUTPUT0"] == 2).all()
    finally:
        stop.set()
        writer.join()
    client.raw.load_model(name)
    assert (client.simple(ONES, ONES, model=name)["OUTPUT0"] == 2).all()


BRACKETS = b"[" * 200000
DEEP_CONFIG = '{"max_batch_size":' + "[" * 200000
DEEP_BODIES = {
    "index": ("/v2/repository/index", BRACKETS),
    "index, in a field": ("/v2/repository/index", b'{"ready":' + BRACKETS + b"]" * 200000 + b"}"),
    "load": ("/v2/repository/models/simple/load", BRACKETS),
    "load, in the parameters": ("/v2/repository/models/simple/load", b'{"parameters":{"config":' + BRACKETS),
    "load, in the config": ("/v2/repository/models/simple/load",
                            json.dumps({"parameters": {"config": DEEP_CONFIG}}).encode()),
    "load, objects in the config": ("/v2/repository/models/simple/load",
                                    json.dumps({"parameters": {"config": '{"input":[{' * 100000}}).encode()),
    "unload": ("/v2/repository/models/simple/unload", b'{"parameters":' + BRACKETS),
    "register": ("/v2/systemsharedmemory/region/r/register", b'{"key":' + BRACKETS),
    "register, closed": ("/v2/systemsharedmemory/region/r/register", BRACKETS + b"]" * 200000),
}


@pytest.mark.parametrize("case", [*sorted(DEEP_BODIES), "config over gRPC", "objects in the config over gRPC"])
def test_200000_brackets(shared, case):
    server = shared[0]
    if case in DEEP_BODIES:
        path, body = DEEP_BODIES[case]
        status, text = post(server, path, body)
        assert status == 400 and text, (status, text)
    else:
        load = service_pb2.RepositoryModelLoadRequest(model_name="simple")
        load.parameters["config"].string_param = '{"input":[{' * 100000 if "objects" in case else DEEP_CONFIG
        assert grpc_call(server, "RepositoryModelLoad", load)[0] == grpc.StatusCode.INVALID_ARGUMENT
    with Client(server, "http") as other:
        assert (other.simple(ONES, ONES)["OUTPUT0"] == 2).all()


def test_index_of_what_is_ready(shared, client):
    server, repository = shared
    put(repository, "never_loaded", simple())

    def names(ready):
        if client.protocol == "http":
            status, body = post(server, "/v2/repository/index", json.dumps({"ready": ready}).encode())
            assert status == 200
            return {entry["name"]: entry.get("state", "") for entry in json.loads(body)}
        code, answer = grpc_call(server, "RepositoryIndex", service_pb2.RepositoryIndexRequest(ready=ready),
                                 service_pb2.RepositoryIndexResponse)
        assert code == grpc.StatusCode.OK
        return {entry.name: entry.state for entry in answer.models}

    every, ready = names(False), names(True)
    assert every["never_loaded"] != "READY" and "never_loaded" not in ready
    assert ready == {name: state for name, state in every.items() if state == "READY"} and "simple" in ready


def test_paths_of_the_extension(shared):
    server, repository = shared
    put(repository, "by_path", simple(), config="max_batch_size: 8\nversion_policy: { all: {} }\n")
    put(repository, "by_path", simple(), version=2)
    for prefix in ("/v2/repository", "/v2/repository/R"):
        assert post(server, f"{prefix}/models/by_path/load", b"{}")[0] == 200
        assert "by_path" in json.loads(get(server, "/v2/models")[1])["models"]
        status, body = post(server, f"{prefix}/index", b"{}")
        assert status == 200 and {"by_path", "simple"} <= {entry["name"] for entry in json.loads(body)}
        for version in (1, 2):
            model = f"/v2/models/by_path/versions/{version}"
            assert json.loads(get(server, f"{model}/ready")[1])["ready"] is True
            (stats,) = json.loads(get(server, f"{model}/stats")[1])["model_stats"]
            assert (stats["name"], stats["version"]) == ("by_path", str(version))
            with Client(server, "grpc") as client:
                assert client.raw.is_model_ready("by_path", str(version))
                (stats,) = client.raw.get_inference_statistics("by_path", str(version)).model_stats
                assert (stats.name, stats.version) == ("by_path", str(version))
        assert get(server, "/v2/models/by_path/versions/3/ready")[0] == 400
        assert get(server, "/v2/models/by_path/versions/3/stats")[0] == 400
        assert post(server, f"{prefix}/models/by_path/unload", b"{}")[0] == 200
        assert "by_path" not in json.loads(get(server, "/v2/models")[1])["models"]
        assert get(server, "/v2/models/by_path/ready")[0] == 400
    assert get(server, "/v2/repository/index")[0] == 405
    assert post(server, "/v2/repository/R/S/models/simple/load", b"{}")[0] == 404


def test_broken_model_at_start(serve, repository):
    put(repository, "corrupt", b"no model")
    with pytest.raises(ServeFailed) as failed:
        serve(repository, "--strict-readiness", "false", control="none", timeout=30)
    assert "corrupt" in failed.value.log

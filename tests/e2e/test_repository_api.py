"""Loading and unloading while serving: what the repository extension promises, and what a bad repository may not do."""

import json
import os
import threading
import time

import numpy as np
import pytest

from clients import PROTOCOLS, Client, InferenceServerException
from serving import ServeFailed
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


def test_failed_load_leaves_the_old_version_serving(serve, repository):
    server = serve(repository)
    with Client(server, "http") as client:
        put(repository, "simple", b"this is no model")
        with pytest.raises(InferenceServerException) as error:
            client.raw.load_model("simple")
        assert error.value.status() in ("400", "StatusCode.INVALID_ARGUMENT") and "simple" in str(error.value)
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


def test_load_with_config_and_files(serve, repository, tmp_path):
    server = serve(repository)
    other = tmp_path / "other.onnx"
    save(identity(TensorProto.FLOAT, ["batch", 3]), str(other))
    with Client(server, "http") as client:
        client.raw.load_model("simple", config=json.dumps({"max_batch_size": 2}))
        assert client.raw.get_model_config("simple")["max_batch_size"] == 2
        config = json.dumps({"backend": "onnxruntime", "max_batch_size": 4})
        client.raw.load_model("brought", config=config, files={"file:1/model.onnx": other.read_bytes()})
        (out,) = client.infer("brought", {"IN": np.ones((1, 3), np.float32)}).values()
        assert (out == 1).all()
        with pytest.raises(InferenceServerException):
            client.raw.load_model("brought", config=config, files={"file:../../evil": b"x"})
        with pytest.raises(InferenceServerException):
            client.raw.load_model("brought", config="not json")
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


@pytest.mark.parametrize("field", sorted(UNSUPPORTED))
def test_config_that_cannot_be_honoured_names_the_field(serve, repository, field):
    put(repository, "odd", simple(), config=UNSUPPORTED[field] + "\n")
    server = serve(repository, load=["simple"])
    with Client(server, "http") as client:
        with pytest.raises(InferenceServerException) as error:
            client.raw.load_model("odd")
        assert field.lower() in str(error.value).lower()
        assert error.value.status().startswith(("4", "5")) and error.value.status() != "500"
        assert (client.simple(ONES, ONES)["OUTPUT0"] == 2).all()


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


@pytest.mark.parametrize("location", ["../../secret.bin", "/etc/passwd", "link.bin"])
def test_external_data_stays_in_its_folder(serve, repository, location):
    (repository.parent / "secret.bin").write_bytes(b"s" * 64)
    folder = put(repository, "outside", _external(location))
    if location == "link.bin":
        (folder / "1" / "link.bin").symlink_to(repository.parent / "secret.bin")
    server = serve(repository, load=["simple"])
    with Client(server, "http") as client, pytest.raises(InferenceServerException) as error:
        client.raw.load_model("outside")
    assert error.value.status() == "400"


def test_links_out_of_the_repository_are_refused(serve, repository, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    put(elsewhere, "stolen", simple())
    (repository / "stolen").symlink_to(elsewhere / "stolen")
    folder = repository / "stolen_file" / "1"
    folder.mkdir(parents=True)
    (folder / "model.onnx").symlink_to(elsewhere / "stolen" / "1" / "model.onnx")
    server = serve(repository, load=["simple"])
    with Client(server, "http") as client:
        for name in ("stolen", "stolen_file", "../elsewhere/stolen", "..", "."):
            with pytest.raises(InferenceServerException):
                client.raw.load_model(name)


@pytest.mark.parametrize("content", [b"", b"\x00" * 1000, b"\x08\x08", os.urandom(5000)])
def test_corrupt_model_files(serve, repository, content):
    put(repository, "corrupt", content)
    server = serve(repository, load=["simple"])
    with Client(server, "http") as client:
        with pytest.raises(InferenceServerException) as error:
            client.raw.load_model("corrupt")
        assert error.value.status() == "400"
        assert (client.simple(ONES, ONES)["OUTPUT0"] == 2).all()


def test_files_replaced_while_loading(serve, repository):
    """Rewritten in place, cut short and removed under the loader's hands: an error or a model, never the end."""
    put(repository, "moving", simple())
    file = repository / "moving" / "1" / "model.onnx"
    whole = file.read_bytes()
    server = serve(repository, load=["simple"])
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
        with Client(server, "http") as client:
            until = time.monotonic() + 5
            while time.monotonic() < until:
                try:
                    client.raw.load_model("moving")
                except InferenceServerException as error:
                    assert error.status() in ("400", "404", "503"), str(error)
                assert (client.simple(ONES, ONES)["OUTPUT0"] == 2).all()
            stop.set()
            writer.join()
            client.raw.load_model("moving")
            assert (client.simple(ONES, ONES, model="moving")["OUTPUT0"] == 2).all()
    finally:
        stop.set()
        writer.join()


def test_broken_model_at_start(serve, repository):
    put(repository, "corrupt", b"no model")
    with pytest.raises(ServeFailed) as failed:
        serve(repository, "--strict-readiness", "false", control="none", timeout=30)
    assert "corrupt" in failed.value.log

"""Metadata, health, configuration, statistics, metrics: what clients and operators read."""

import json
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest

from clients import PROTOCOLS, Client, InferenceServerException


@pytest.fixture(params=PROTOCOLS)
def client(server, request):
    with Client(server, request.param) as made:
        yield made


def get(server, path):
    """Status and body."""
    try:
        with urllib.request.urlopen(f"http://{server.http}{path}", timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def as_dict(client, value):
    from google.protobuf.json_format import MessageToDict

    return value if client.protocol == "http" else MessageToDict(value, preserving_proto_field_name=True)


def test_health(client):
    assert client.raw.is_server_live() and client.raw.is_server_ready()
    assert client.raw.is_model_ready("simple") and client.raw.is_model_ready("two_versions", "3")
    assert not client.raw.is_model_ready("two_versions", "2")
    assert not client.raw.is_model_ready("nobody")


def test_health_bodies_parse_as_json(server):
    assert json.loads(get(server, "/v2/health/live")[1])["live"] is True
    assert json.loads(get(server, "/v2/health/ready")[1])["ready"] is True
    body = json.loads(get(server, "/v2/models/simple/ready")[1])
    assert body["name"] == "simple" and body["ready"] is True


def test_server_metadata(client):
    data = as_dict(client, client.raw.get_server_metadata())
    assert data["name"] == "tessera" and data["version"]
    assert {"classification", "statistics", "model_repository", "system_shared_memory", "binary_tensor_data"} <= set(
        data["extensions"])


def test_model_metadata(client):
    data = as_dict(client, client.raw.get_model_metadata("two_versions"))
    assert data["name"] == "two_versions" and sorted(data["versions"]) == ["1", "3"]
    assert data["platform"] == "onnxruntime_onnx"
    assert [t["name"] for t in data["inputs"]] == ["INPUT0", "INPUT1"]
    assert data["inputs"][0]["datatype"] == "INT32"
    assert [int(d) for d in data["inputs"][0]["shape"]] == [-1, 16]


def test_model_config(client):
    data = as_dict(client, client.raw.get_model_config("simple"))
    data = data.get("config", data)
    assert data["name"] == "simple" and int(data["max_batch_size"]) == 8
    assert data["input"][0]["name"] == "INPUT0" and data["input"][0]["data_type"] == "TYPE_INT32"
    assert [int(d) for d in data["input"][0]["dims"]] == [16]


def test_statistics_count_rows_and_runs(client):
    before = as_dict(client, client.raw.get_inference_statistics("simple"))["model_stats"][0]
    client.simple(np.zeros((4, 16)), np.zeros((4, 16)))
    after = as_dict(client, client.raw.get_inference_statistics("simple"))["model_stats"][0]
    assert after["version"] == "1"
    assert int(after["inference_count"]) - int(before.get("inference_count", 0)) == 4
    assert int(after["execution_count"]) - int(before.get("execution_count", 0)) == 1
    for part in ("success", "queue", "compute_input", "compute_infer", "compute_output"):
        assert int(after["inference_stats"][part]["count"]) > 0, part
    assert set(after["inference_stats"]) >= {"success", "fail", "queue", "compute_input", "compute_infer",
                                             "compute_output", "cache_hit", "cache_miss"}


def test_unknown_names(client):
    with pytest.raises(InferenceServerException, match="Request for unknown model: 'nobody' is not found"):
        client.raw.get_model_metadata("nobody")
    with pytest.raises(InferenceServerException, match="requested model 'nobody' is not available"):
        client.raw.get_inference_statistics("nobody")


def test_paths_of_http(server):
    assert get(server, "/v2")[0] == 200
    assert get(server, "/v2/models/simple/versions/1")[0] == 200
    assert get(server, "/v2/models/simple/versions/1/config")[0] == 200
    assert get(server, "/v2/models/stats")[0] == 200
    assert get(server, "/v2/models/nobody")[0] == 404
    assert get(server, "/v2/models/nobody/ready") == (400, b'{"error":"Model version not ready"}') or \
        json.loads(get(server, "/v2/models/nobody/ready")[1])["error"] == "Model version not ready"
    assert get(server, "/v2/models/nobody/stats")[0] == 400
    assert get(server, "/v2/models/simple/infer")[0] == 405
    assert get(server, "/nothing")[0] == 404


def test_grpc_health_service(server):
    channel = grpc.insecure_channel(server.grpc)
    check = channel.unary_unary("/grpc.health.v1.Health/Check", request_serializer=lambda b: b,
                                response_deserializer=lambda b: b)
    assert check(b"") == b"\x08\x01"  # status = SERVING
    assert check(b"\x0a\x06simple") in (b"\x08\x01",)
    with pytest.raises(grpc.RpcError) as error:
        check(b"\x0a\x06nobody")
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    channel.close()


def test_metrics(server):
    with Client(server, "http") as client:
        client.simple(np.zeros((2, 16)), np.zeros((2, 16)))
    text = server.metrics_text()
    for name in ("nv_inference_request_success", "nv_inference_request_failure", "nv_inference_count",
                 "nv_inference_exec_count", "nv_inference_pending_request_count",
                 "nv_inference_request_duration_us", "nv_inference_queue_duration_us",
                 "nv_inference_compute_input_duration_us", "nv_inference_compute_infer_duration_us",
                 "nv_inference_compute_output_duration_us", "tessera_request_latency_seconds_bucket"):
        assert f"\n{name}{{" in text, name
    assert server.metric("nv_inference_request_success", model="simple") >= 1
    assert server.metric("nv_inference_count", model="simple") >= 2
    assert server.metric("tessera_launches_total", model="simple") >= 1

"""The .proto files here against the descriptors inside tritonclient: every message, field, number, type and method."""

import os
import pathlib
import shutil
import subprocess

import pytest
from google.protobuf import descriptor_pb2
from tritonclient.grpc import model_config_pb2, service_pb2

SOURCE = pathlib.Path(os.environ.get("TESSERA_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
THEIRS = {"model_config.proto": model_config_pb2, "grpc_service.proto": service_pb2}


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    protoc = shutil.which("protoc")
    assert protoc, "protoc is missing: scripts/setup installs it"
    out = tmp_path_factory.mktemp("proto") / "set"
    files = [*THEIRS, "health.proto"]
    subprocess.run([protoc, f"-I{SOURCE / 'proto'}", f"--descriptor_set_out={out}", *files], check=True)
    parsed = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    return {file.name: file for file in parsed.file}


def enum_facts(prefix, enum):
    return {f"{prefix}{enum.name}.{value.name}": value.number for value in enum.value}


def message_facts(prefix, message):
    name = f"{prefix}{message.name}"
    facts = {name: "map entry" if message.options.map_entry else "message"}
    for field in message.field:
        oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else None
        facts[f"{name}.{field.name}"] = (
            field.number, field.label, field.type, field.type_name, oneof, field.proto3_optional)
    for enum in message.enum_type:
        facts.update(enum_facts(f"{name}.", enum))
    for nested in message.nested_type:
        facts.update(message_facts(f"{name}.", nested))
    return facts


def file_facts(file):
    facts = {"package": file.package, "syntax": file.syntax}
    for enum in file.enum_type:
        facts.update(enum_facts("", enum))
    for message in file.message_type:
        facts.update(message_facts("", message))
    for service in file.service:
        for method in service.method:
            facts[f"{service.name}/{method.name}"] = (
                method.input_type, method.output_type, method.client_streaming, method.server_streaming)
    return facts


@pytest.mark.parametrize("name", THEIRS)
def test_equal_to_the_clients(ours, name):
    theirs = descriptor_pb2.FileDescriptorProto()
    THEIRS[name].DESCRIPTOR.CopyToProto(theirs)
    expected, found = file_facts(theirs), file_facts(ours[name])
    assert len(expected) > 100
    assert found == expected


def test_health_is_that_of_grpc(ours):
    facts = file_facts(ours["health.proto"])
    assert facts["package"] == "grpc.health.v1"
    assert facts["Health/Check"] == (
        ".grpc.health.v1.HealthCheckRequest", ".grpc.health.v1.HealthCheckResponse", False, False)
    assert facts["Health/Watch"] == (
        ".grpc.health.v1.HealthCheckRequest", ".grpc.health.v1.HealthCheckResponse", False, True)
    assert facts["HealthCheckRequest.service"][0] == 1
    assert facts["HealthCheckResponse.status"][0] == 1
    values = {name.rsplit(".", 1)[1]: number for name, number in facts.items()
              if name.startswith("HealthCheckResponse.ServingStatus.")}
    assert values == {"UNKNOWN": 0, "SERVING": 1, "NOT_SERVING": 2, "SERVICE_UNKNOWN": 3}

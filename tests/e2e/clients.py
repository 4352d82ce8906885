"""tritonclient's two protocols behind one face, so that a test states once what both must do."""

import numpy as np
import pytest
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient
from tritonclient.utils import InferenceServerException

PROTOCOLS = ("http", "grpc")

NUMPY = {"BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64,
         "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "FP16": np.float16, "FP32": np.float32,
         "FP64": np.float64}

__all__ = ["Client", "InferenceServerException", "NUMPY", "PROTOCOLS", "refused"]

# A peer's mistake, as each protocol says it; HTTP first.
MISTAKES = {"400": "INVALID_ARGUMENT", "404": "NOT_FOUND", "409": "ALREADY_EXISTS", "413": "RESOURCE_EXHAUSTED"}
MISSING_FEATURES = {"501": "UNIMPLEMENTED"}


def refused(call, *arguments, unsupported=False, **named):
    """Makes the call, which must end as a mistake of the peer's (or as a feature that is missing); the error's text."""
    with pytest.raises(InferenceServerException) as error:
        call(*arguments, **named)
    allowed = MISTAKES | MISSING_FEATURES if unsupported else MISTAKES
    status = error.value.status()
    assert status in (*allowed, *(f"StatusCode.{code}" for code in allowed.values())), (status, str(error.value))
    return str(error.value)


class Client:
    def __init__(self, server, protocol, **options):
        self.protocol = protocol
        self.library = httpclient if protocol == "http" else grpcclient
        address = server.http if protocol == "http" else server.grpc
        if protocol == "http":
            options.setdefault("network_timeout", 60)
            options.setdefault("concurrency", 8)
        self.raw = self.library.InferenceServerClient(address, **options)

    def tensor(self, name, array, dtype=None, **how):
        dtype = dtype or next(k for k, v in NUMPY.items() if v == array.dtype.type)
        tensor = self.library.InferInput(name, list(array.shape), dtype)
        tensor.set_data_from_numpy(array, **how)
        return tensor

    def infer(self, model, arrays, outputs=None, dtype=None, **options):
        """The outputs by name."""
        inputs = [self.tensor(name, array, dtype) for name, array in arrays.items()]
        wanted = [self.library.InferRequestedOutput(name) for name in outputs] if outputs else None
        result = self.raw.infer(model, inputs, outputs=wanted, **options)
        if outputs:
            names = outputs
        elif self.protocol == "http":
            names = [o["name"] for o in result.get_response()["outputs"]]
        else:
            names = [o.name for o in result.get_response().outputs]
        return {name: result.as_numpy(name) for name in names}

    def simple(self, a, b, model="simple", **options):
        return self.infer(model, {"INPUT0": np.asarray(a, np.int32), "INPUT1": np.asarray(b, np.int32)}, **options)

    def close(self):
        self.raw.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

"""--device: what is said where a GPU cannot be used, with no driver, one that is too old, and one without a GPU."""

import os
import shutil
import subprocess

import pytest

from serving import BINARY, Serve
from small_models import put, simple

NOTHING = "void nothing(void) {}\n"
# A driver whose calls all succeed without doing anything, but for those of the case.
DRIVER = """
#include <string.h>
static int succeed(void) { return 0; }
static int init(unsigned flags) { return %(init)d; }
static int count(int* out) { *out = %(gpus)d; return 0; }
int cuGetProcAddress_v2(const char* name, void** out, int version, unsigned long flags, int* found) {
  *out = strcmp(name, "cuInit") == 0 ? (void*)init : strcmp(name, "cuDeviceGetCount") == 0 ? (void*)count : (void*)succeed;
  *found = 0;
  return 0;
}
"""
CUDA_ERROR_NO_DEVICE = 100

pytestmark = pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="this host has a GPU")


def driver(folder, source):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang-14")
    if compiler is None:
        pytest.skip("no C compiler to make a driver with")
    (folder / "driver.c").write_text(source)
    library = folder / "libcuda.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, folder / "driver.c"], check=True)
    return {"LD_LIBRARY_PATH": str(folder)}


CASES = {
    "no driver": (None, "cuda:0", ["no NVIDIA driver on this host", "install it, or use --device host"]),
    "old driver": (NOTHING, "cuda:0", ["the NVIDIA driver is too old", "580"]),
    "no gpu": (DRIVER % {"init": CUDA_ERROR_NO_DEVICE, "gpus": 0}, "cuda:0", ["finds no GPU", "use --device host"]),
    "number": (DRIVER % {"init": 0, "gpus": 2}, "cuda:2", ["there is no gpu 2: this host has 2, counted from 0"]),
    "several": (None, "cuda:0,cuda:1", ["no NVIDIA driver on this host"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_gpu_that_cannot_be_used_is_one_line_and_status_1(tmp_path, case):
    source, device, words = CASES[case]
    environment = {} if source is None else driver(tmp_path, source)
    done = subprocess.run([BINARY, "serve", "--model-repository", tmp_path, "--device", device], capture_output=True,
                          text=True, timeout=20, env={**os.environ, **environment})
    assert done.returncode == 1 and done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("tessera serve: --device: ")
    assert [word for word in words if word not in lines[0]] == []


@pytest.mark.parametrize("case", ["no driver", "old driver", "no gpu"])
def test_auto_falls_back_to_the_host_and_says_why(tmp_path, monkeypatch, case):
    source, _, words = CASES[case]
    if source is not None:
        for name, value in driver(tmp_path, source).items():
            monkeypatch.setenv(name, value)
    models = tmp_path / "models"
    put(models, "simple", simple())
    with Serve(models, "--device", "auto", log=tmp_path / "log") as server:
        assert server.metric("tessera_device_launches_total", device="cuda:0") == 0
        assert 'device="host"' in server.metrics_text()
        said = [line for line in server.log().splitlines() if "as no GPU can be used" in line]
        assert len(said) == 1 and words[0] in said[0]
        assert server.stop() == 0

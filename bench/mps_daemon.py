"""NVIDIA's MPS with folders of its own, for benchmarks whose processes share a GPU by it."""

import os
import pathlib
import signal
import subprocess
import time

CONTROL = "nvidia-cuda-mps-control"


class Failed(Exception):
    pass


class Daemon:
    """MPS with its own pipe and log folder; nobody else's clients or daemon are touched."""

    def __init__(self, folder: pathlib.Path):
        self.env = {"CUDA_MPS_PIPE_DIRECTORY": str(folder / "pipe"), "CUDA_MPS_LOG_DIRECTORY": str(folder / "log")}
        self.log = folder / "log" / "server.log"
        for each in self.env.values():
            os.makedirs(each)
        # In the foreground and in a group of its own, so that it can be ended by its number.
        try:
            self.process = subprocess.Popen([CONTROL, "-f"], env={**os.environ, **self.env}, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                            start_new_session=True)
        except OSError as error:
            raise Failed(f"{CONTROL} cannot be started: {error.strerror}") from error
        time.sleep(1)
        if self.process.poll() is not None:
            raise Failed(f"{CONTROL} ended at once with status {self.process.returncode}")

    def words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return "; MPS says: " + " | ".join(lines[-3:]) if lines else ""

    def end(self) -> None:
        try:
            subprocess.run([CONTROL], input="quit\n", text=True, env={**os.environ, **self.env}, timeout=20, check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

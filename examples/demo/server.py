"""Starts `tessera serve` for the demo and ends it again."""

import pathlib
import re
import shutil
import signal
import subprocess
import threading
import urllib.request

# Name in the repository -> file that the set-up left in .deps/models.
MODELS = ("ocr_detection", "ocr_recognition", "ocr_orientation", "faces")


def make_repository(folder, models):
    """A model repository in Triton's layout: <folder>/<model>/1/model.onnx. Nothing else is needed to serve."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in MODELS:
        version = pathlib.Path(folder, name, "1")
        version.mkdir(parents=True)
        shutil.copy(pathlib.Path(models, f"{name}.onnx"), version / "model.onnx")
    return folder


class Server:
    """A running server; use as a context manager, so that it ends with the demo however that ends."""

    def __init__(self, binary, repository, log_path, *flags, ports=(0, 0, 0)):
        self._log = open(log_path, "w", encoding="utf-8")
        http, grpc, metrics = ports
        command = [str(binary), "serve", "--model-repository", str(repository), "--model-control-mode", "explicit",
                   "--load-model", "*", "--http-port", str(http), "--grpc-port", str(grpc), "--metrics-port",
                   str(metrics), *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        line = self._wait_ready(timeout=120)
        if not line:
            self.process.kill()
            self.process.wait()
            tail = "".join(open(log_path, encoding="utf-8").readlines()[-15:])
            raise SystemExit(f"tessera serve did not become ready; the end of {log_path}:\n{tail}")
        self.http, self.grpc, self.metrics = (
            re.search(rf"{kind}=(\S+)", line).group(1) for kind in ("http", "grpc", "metrics"))

    def _wait_ready(self, timeout):
        found = []

        def read():
            for line in self.process.stdout:
                if line.startswith("ready "):
                    found.append(line)
                    return

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(timeout)
        return found[0] if found else None

    def metric(self, name, **labels):
        """Sum of the samples of one metric with these labels, by the labels that were not asked for."""
        text = urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=10).read().decode()
        samples = {}
        for line in text.splitlines():
            match = re.match(rf"{name}{{(.*)}} (\S+)$", line)
            if not match:
                continue
            found = dict(re.findall(r'(\w+)="([^"]*)"', match.group(1)))
            if all(found.get(key) == value for key, value in labels.items()):
                rest = tuple(sorted((k, v) for k, v in found.items() if k not in labels))
                samples[rest] = samples.get(rest, 0.0) + float(match.group(2))
        return samples

    def stop(self):
        """Asks it to finish what runs and waits; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._log.close()
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

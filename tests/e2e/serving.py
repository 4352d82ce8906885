"""A real `tessera serve` process, for tests."""

import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("TESSERA_BIN", ROOT / "build" / "bin" / "tessera"))
FAULTY = BINARY.with_name("tessera_faulty")  # the same server on a pretended GPU

# What servers learn of models stays within this process: one that starts from what another user's runs found is not the
# server under test.
_CACHE = tempfile.TemporaryDirectory(prefix="tessera-cache-")


class ServeFailed(Exception):
    """The process ended, or stayed silent, before it was ready."""

    def __init__(self, status, log):
        super().__init__(f"exit status {status}\n{log}")
        self.status = status
        self.log = log


class Serve:
    """Runs until stop() or the end of a with block. Ports are free ones, on loopback."""

    def __init__(self, repository, *flags, log, control="explicit", load=("*",), timeout=120, wait=True,
                 binary=BINARY):
        self.log_path = pathlib.Path(log)
        self._log = open(self.log_path, "w", encoding="utf-8")
        command = [str(binary), "serve", "--model-control-mode", control]
        for port in ("--http-port", "--grpc-port", "--metrics-port"):
            if port not in flags:
                command += [port, "0"]
        for folder in [repository] if isinstance(repository, (str, pathlib.Path)) else repository:
            command += ["--model-repository", str(folder)]
        if control == "explicit":
            for name in load:
                command += ["--load-model", name]
        self.process = subprocess.Popen(
            command + list(flags),
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, "XDG_CACHE_HOME": _CACHE.name},
        )
        self.http = self.grpc = self.metrics = None
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if wait:
            self.wait_ready(timeout)

    def wait_ready(self, timeout=120):
        until = time.monotonic() + timeout
        while not self._ready.wait(0.05):
            if self.process.poll() is not None or time.monotonic() > until:
                self.process.kill()
                self.process.wait()
                self._log.flush()
                raise ServeFailed(self.process.returncode, self.log_path.read_text())

    def _read(self):
        for line in self.process.stdout:
            match = re.match(r"ready http=(\S+) grpc=(\S+) metrics=(\S+)", line)
            if match:
                self.http, self.grpc, self.metrics = match.groups()
                self._ready.set()

    @property
    def http_address(self):
        host, port = self.http.rsplit(":", 1)
        return host, int(port)

    def log(self):
        return self.log_path.read_text()

    def wait_for_log(self, text, timeout=30):
        until = time.monotonic() + timeout
        while text not in self.log():
            assert self.alive() and time.monotonic() < until, f"no '{text}' in the log:\n{self.log()}"
            time.sleep(0.02)

    def metrics_text(self):
        return urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=10).read().decode()

    def metric(self, name, **labels):
        """Sum over the samples of a metric that carry these labels."""
        total = 0.0
        for line in self.metrics_text().splitlines():
            match = re.match(rf"{name}(?:{{(.*)}})? (\S+)$", line)
            if match:
                found = dict(re.findall(r'(\w+)="([^"]*)"', match.group(1) or ""))
                if all(found.get(k) == str(v) for k, v in labels.items()):
                    total += float(match.group(2))
        return total

    def rss_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def peak_rss_bytes(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")

    def alive(self):
        return self.process.poll() is None

    def stop(self, signals=(signal.SIGTERM,), timeout=40):
        """Sends the signals and waits; the exit status."""
        if self.alive():
            for number in signals:
                self.process.send_signal(number)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"did not end within {timeout} s of {signals}; log:\n{self.log()}") from None
        self._log.close()
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.alive():
            self.stop()

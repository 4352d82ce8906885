"""A light client over HTTP that accounts for every request it sent, for benchmarks that see servers fail."""

import http.client
import json
import re
import socket
import statistics
import threading
import time
import urllib.error
import urllib.request

from sockets import PATIENCE, Failed

BYTES = {"FP16": 2, "FP32": 4, "INT32": 4, "INT64": 8, "UINT8": 1}
HANGS = 20.0  # seconds without an answer


def call(url: str, data: bytes = None, headers: dict = {}, timeout: float = PATIENCE) -> bytes:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers), timeout=timeout) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise Failed(f"{url}: {error.code} {error.read().decode(errors='replace')[:500]}") from error
    except OSError as error:
        raise Failed(f"{url} does not answer: {error}") from error


def load(url: str, model: str) -> float:
    """Seconds it took; a model that is there is swapped for what its files are now."""
    begin = time.monotonic()
    call(f"{url}/v2/repository/models/{model}/load", b"{}")
    return time.monotonic() - begin


def unload(url: str, model: str) -> float:
    begin = time.monotonic()
    call(f"{url}/v2/repository/models/{model}/unload", b"{}")
    return time.monotonic() - begin


def index(url: str) -> dict:
    """(state, reason) of every model."""
    return {m["name"]: (m.get("state", ""), m.get("reason", "")) for m in json.loads(call(f"{url}/v2/repository/index", b"{}"))}


def row_of(url: str, model: str, first: int = 0) -> tuple:
    """Body and headers of a request with one row of zeros, which begins with that byte."""
    inputs, body = [], b""
    for tensor in json.loads(call(f"{url}/v2/models/{model}"))["inputs"]:
        shape = [1 if dim < 0 else dim for dim in tensor["shape"]]
        size = BYTES[tensor["datatype"]]
        for dim in shape:
            size *= dim
        inputs.append({"name": tensor["name"], "shape": shape, "datatype": tensor["datatype"],
                       "parameters": {"binary_data_size": size}})
        body += bytes([first]) + bytes(size - 1)
    head = json.dumps({"inputs": inputs}).encode()
    return head + body, {"Inference-Header-Content-Length": str(len(head))}


class Sent:
    """One request and what became of it: its status, or why there is none."""

    __slots__ = ("begin", "end", "status", "text")

    def __init__(self, begin: float, end: float, status, text: str):
        self.begin, self.end, self.status, self.text = begin, end, status, text

    @property
    def ms(self) -> float:
        return (self.end - self.begin) * 1e3


class Asker:
    """Asks one model, one request at a time, until it is told to end."""

    def __init__(self, url: str, model: str, first: int = 0):
        self.model, self.sent, self.waits_since = model, [], None
        self.address = url.removeprefix("http://")
        self.path, (self.body, self.headers) = f"/v2/models/{model}/infer", row_of(url, model, first)
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=HANGS)
        while not self.ending.is_set():
            begin = self.waits_since = time.monotonic()
            try:
                connection.request("POST", self.path, self.body, self.headers)
                answer = connection.getresponse()
                status, text = answer.status, answer.read().decode(errors="replace") if answer.status != 200 else ""
                if status == 200:
                    answer.read()
            except ConnectionRefusedError as error:
                status, text = "refused", str(error)
            except socket.timeout as error:
                status, text = "hangs", str(error)
            except (OSError, http.client.HTTPException) as error:
                status, text = "broken", repr(error)
            self.waits_since = None
            self.sent.append(Sent(begin, time.monotonic(), status, text))
            if status != 200:
                connection.close()
                self.ending.wait(0.01)
        connection.close()

    def end(self) -> list:
        self.ending.set()
        self.thread.join(HANGS + 5)
        if self.thread.is_alive():  # what it waits for has no end
            self.sent.append(Sent(self.waits_since, time.monotonic(), "hangs", "no answer"))
        return self.sent


class Health:
    """Asks for the server's health every 10 ms: when live and ready were first denied, and with what words."""

    PAUSE = 0.01

    def __init__(self, url: str):
        self.url, self.denied, self.words = url, {}, {}
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while not self.ending.wait(self.PAUSE):
            for what in ("live", "ready"):
                try:
                    with urllib.request.urlopen(f"{self.url}/v2/health/{what}", timeout=HANGS):
                        pass
                except urllib.error.HTTPError as error:
                    if what not in self.denied:
                        self.denied[what], self.words[what] = time.monotonic(), error.read().decode(errors="replace")
                except OSError:
                    return  # the process has ended

    def wait_until_denied(self, what: str, seconds: float) -> float:
        end = time.monotonic() + seconds
        while what not in self.denied:
            if time.monotonic() > end:
                raise Failed(f"health says that the server is {what} {seconds} s after the fault")
            time.sleep(self.PAUSE)
        return self.denied[what]

    def end(self) -> None:
        self.ending.set()
        self.thread.join(HANGS + 5)


def quantile(values: list, q: float) -> float:
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))] if values else float("nan")


def times(sent: list) -> dict:
    """Of those that were answered with 200."""
    ms = [each.ms for each in sent if each.status == 200]
    return {"answered": len(ms), "p50_ms": round(statistics.median(ms), 3) if ms else None,
            "p99_ms": round(quantile(ms, 0.99), 3) if ms else None, "slowest_ms": round(max(ms), 3) if ms else None}


def outcomes(sent: list) -> dict:
    """How many came to each status, and to each error's words where numbers are left out."""
    found = {}
    for each in sent:
        words = re.sub(r"\d+", "N", each.text)[:160]
        key = f"{each.status}" + (f" {words}" if words else "")
        found[key] = found.get(key, 0) + 1
    return found

#!/usr/bin/env python3
"""Four tenants in closed loop: in the server's process, over HTTP, and over gRPC. One table: images a second of all, against
the arm in process of the same round, CPU time of the server for each image, and the bytes of tensors for each image that the
server copied in user space. Over the wire each tenant has a client process of its own for each device, so that the clients
are not what is measured. What the network stack carries at most the same clients show with bench_bare, a server that reads
images of 602 KB and computes nothing.

usage: sockets.py --models FOLDER [--tessera FILE] [--bare FILE] [--devices "cuda:0 cuda:0/0-7,cuda:0/8-15"] [--mix A,B,...]
                  [--outstanding 16] [--rows 1] [--seconds 2] [--rounds 3] [--json FILE]

FOLDER is a model repository; a model that the mix names twice is copied. Each round has every arm of every --devices, in
turns; servers stay from round to round, and are idle while others are measured. --outstanding is a tenant's for each device.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from objectives import tenant_names

WIRES = ("http", "grpc")
ARMS = ("in process", *WIRES)
BARE = "no device"  # what stands for it in tables
PATIENCE = 240  # seconds, for models to be ready, or a client to end


class Failed(Exception):
    pass


def repository(models: pathlib.Path, mix: list, folder: pathlib.Path, names=None) -> list:
    """An instance of its own for each that the mix names; their names. Files are shared where the file system allows it."""
    names = names or tenant_names([{"model": model} for model in mix])
    for model, name in zip(mix, names):
        shutil.copytree(models / model, folder / name, copy_function=link)
        config = folder / name / "config.pbtxt"
        if config.exists():
            text = re.sub(r'(?m)^name: .*$', f'name: "{name}"', config.read_text())
            config.unlink()  # what it may be shared with stays as it is
            config.write_text(text)
    return names


def tenants_repository(models: pathlib.Path, tenants: list, folder: pathlib.Path) -> list:
    """The same for a workload's tenants, with the lanes that it gives them: a server has these from the model's file."""
    names = repository(models, [tenant["model"] for tenant in tenants], folder, tenant_names(tenants))
    for tenant, name in zip(tenants, names):
        config = folder / name / "config.pbtxt"
        if "lanes" in tenant and config.exists():
            text = re.sub(r'(?m)^instance_group .*\n', "", config.read_text())
            config.write_text(text + f'instance_group {{ count: {tenant["lanes"]} }}\n')
    return names


def link(source: str, to: str) -> None:
    try:
        os.link(source, to)
    except OSError:
        shutil.copy2(source, to)


def beside(program: str) -> str:
    """Where it lies beside this file: in the bundle, or where it is built."""
    here = pathlib.Path(__file__).resolve().parent
    files = [here.parent / folder / program for folder in ("bin", "build/bin")]
    return str(next((file for file in files if file.exists()), files[0]))


def cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Server:
    def __init__(self, program: str, models: pathlib.Path, device: str, cache: pathlib.Path, more: list = ()):
        command = [program, "serve", *more, "--model-repository", str(models), "--device", device, "--http-port", "0",
                   "--grpc-port", "0", "--metrics-port", "0", "--cache-dir", str(cache), "--log-level", "info"]
        self.log = tempfile.NamedTemporaryFile("w")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log,
                                        text=True)
        line = self.process.stdout.readline()
        found = re.match(r"ready http=(\S+) grpc=(\S+) metrics=(\S+)", line)
        if not found:
            self.end()
            raise Failed(f"the server did not get ready: {self.last_words()}")
        self.urls = {"http": f"http://{found[1]}", "grpc": f"grpc://{found[2]}"}
        self.metrics = found[3]

    def total(self, metric: str) -> float:
        """Of all its samples."""
        with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=PATIENCE) as answer:
            text = answer.read().decode()
        return sum(float(value) for value in re.findall(rf"(?m)^{metric}(?:{{.*}})? (\S+)$", text))

    def wait_until_grown(self, models: int) -> None:
        """Until all batch sizes are there, where they follow a model."""
        for _ in range(PATIENCE * 2):
            text = pathlib.Path(self.log.name).read_text()
            whole = len(re.findall(r"model ready .*max_batch_size=(\d+) largest_batch_so_far=\1 ", text))
            if whole + text.count("all batch sizes are ready") >= models:
                return
            time.sleep(0.5)
        raise Failed("not all batch sizes got ready")

    def last_words(self) -> str:
        lines = pathlib.Path(self.log.name).read_text().strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()


def rates(result: dict) -> dict:
    """Answers a second and p50, p99, p99.9 of each tenant."""
    failed = {t["name"]: t["failures"] for t in result["tenants"] if t["failed"]}
    if failed:
        raise Failed(f"requests failed: {failed}")
    return {t["name"]: {"per_s": t["answered"] / result["seconds"], **{key: t[key] for key in ("p50_ms", "p99_ms", "p999_ms")}}
            for t in result["tenants"]}


def load(arguments, target: list, tenants: list, out: pathlib.Path, warm: float, outstanding: int = 0) -> subprocess.Popen:
    command = [arguments.tessera, "load", *target, "--outstanding", str(outstanding or arguments.outstanding), "--rows",
               str(arguments.rows), "--seconds", str(arguments.seconds), "--warm-seconds",
               str(warm), "--json", str(out)]
    for tenant in tenants:
        command += ["--model", tenant]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def collect(process: subprocess.Popen, out: pathlib.Path) -> dict:
    try:
        _, errors = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise Failed("a client does not end") from error
    if process.returncode not in (0, 3) or not out.exists():
        raise Failed(errors.strip().splitlines()[-1] if errors.strip() else f"a client ended with {process.returncode}")
    return rates(json.loads(out.read_text()))


def together(clients: list) -> dict:
    """Of the clients of one tenant."""
    return {"per_s": sum(c["per_s"] for c in clients), "p50_ms": max(c["p50_ms"] for c in clients),
            "p99_ms": max(c["p99_ms"] for c in clients)}


def in_process(arguments, models, device, tenants, folder) -> dict:
    out = folder / "here.json"
    outstanding = arguments.outstanding * len(device.split(","))
    target = ["--model-repository", str(models), "--device", device, "--cache-dir", str(folder / "cache")]
    return {"tenants": collect(load(arguments, target, tenants, out, arguments.warm_seconds, outstanding), out)}


def over_wire(arguments, server, arm: str, places: int, tenants, folder) -> dict:
    """`places`: clients of each tenant."""
    outs = [(tenant, folder / f"{arm}-{tenant}-{place}.json") for tenant in tenants for place in range(places)]
    for _, out in outs:
        out.unlink(missing_ok=True)
    copied = server.total("tessera_copied_tensor_bytes_total") if server.metrics else None
    asked = server.total("nv_inference_request_success") if server.metrics else None
    before, begin = cpu_seconds(server.process.pid), time.monotonic()
    clients = [load(arguments, ["--url", server.urls[arm]], [tenant], out, arguments.warm_seconds) for tenant, out in outs]
    found = {tenant: [] for tenant in tenants}
    for client, (tenant, out) in zip(clients, outs):
        found[tenant].append(collect(client, out)[tenant])
    busy = (cpu_seconds(server.process.pid) - before) / (time.monotonic() - begin)
    run = {"tenants": {tenant: together(clients) for tenant, clients in found.items()}, "server_cores": busy}
    if server.metrics:
        images = (server.total("nv_inference_request_success") - asked) * arguments.rows
        run["copied_bytes_per_image"] = (server.total("tessera_copied_tensor_bytes_total") - copied) / max(images, 1)
    return run


class BareServer:
    """bench_bare, with what Server has of it."""

    def __init__(self, program: str):
        self.metrics = None
        self.process = subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        found = re.match(r"ready http=(\S+) grpc=(\S+) ", self.process.stdout.readline())
        if not found:
            self.end()
            raise Failed(f"{program} did not get ready")
        self.urls = {"http": f"http://{found[1]}", "grpc": f"grpc://{found[2]}"}

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


class Rounds:
    """Servers for all --devices, and what was measured: {device: {arm: [run of each round]}}."""

    def __init__(self, arguments, models, tenants, folder):
        self.arguments, self.models, self.tenants, self.folder = arguments, models, tenants, folder
        self.servers, self.found, self.failed = {}, {}, {}

    def start(self) -> None:
        for device in self.arguments.devices.split():
            print(f"{device}: starting ...", file=sys.stderr, flush=True)
            try:
                self.servers[device] = Server(self.arguments.tessera, self.models, device, self.folder / "cache")
                self.servers[device].wait_until_grown(len(self.tenants))
            except Failed as error:
                self.fail(device, error)
                if device in self.servers:
                    self.servers.pop(device).end()
        if pathlib.Path(self.arguments.bare).exists():
            self.servers[BARE] = BareServer(self.arguments.bare)
        else:
            print(f"{self.arguments.bare} is not there: the stack's own limit is not measured", file=sys.stderr, flush=True)

    def fail(self, what: str, error: Exception) -> None:
        self.failed[what] = str(error)
        print(f"{what}: {error}", file=sys.stderr, flush=True)

    def measure(self) -> None:
        """One round."""
        most = max(len(device.split(",")) for device in self.arguments.devices.split())
        for device, server in self.servers.items():
            places = most if device == BARE else len(device.split(","))
            for arm in WIRES if device == BARE else ARMS:
                try:
                    run = (in_process(self.arguments, self.models, device, self.tenants, self.folder) if arm == "in process" else
                           over_wire(self.arguments, server, arm, places, self.tenants, self.folder))
                    self.found.setdefault(device, {}).setdefault(arm, []).append(run)
                except Failed as error:
                    self.fail(f"{device} {arm}", error)

    def end(self) -> None:
        for server in self.servers.values():
            server.end()


def total(run: dict, rows: int) -> float:
    return sum(t["per_s"] for t in run["tenants"].values()) * rows


def spread(values: list, digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def summary(devices: dict, rows: int) -> dict:
    """{device: {arm: {figure: [of each round]}}}"""
    out = {}
    for device, arms in devices.items():
        for arm, runs in arms.items():
            images = [total(run, rows) for run in runs]
            figures = {"images_per_s": images}
            base = [total(run, rows) for run in arms.get("in process", [])]
            if arm != "in process" and len(base) == len(images):
                figures["of_in_process"] = [one / other for one, other in zip(images, base)]
            if "server_cores" in runs[0]:
                figures["server_us_per_image"] = [run["server_cores"] / total(run, rows) * 1e6 for run in runs]
            if "copied_bytes_per_image" in runs[0]:
                figures["copied_bytes_per_image"] = [run["copied_bytes_per_image"] for run in runs]
            out.setdefault(device, {})[arm] = figures
    return out


def table(devices: dict, rows: int) -> str:
    digits = {"images_per_s": 0, "of_in_process": 3, "server_us_per_image": 1, "copied_bytes_per_image": 0}
    lines = [f"{'device':<24} {'arm':<11} {'images/s':>24} {'x in process':>24} {'server us/image':>24} {'copied B/image':>24}"]
    for device, arms in summary(devices, rows).items():
        for arm, figures in arms.items():
            lines.append(f"{device:<24} {arm:<11}" + "".join(
                f" {spread(figures[key], places) if key in figures else '-':>24}" for key, places in digits.items()))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--tessera", default=beside("tessera"))
    parser.add_argument("--devices", default="cuda:0 cuda:0/0-7,cuda:0/8-15")
    parser.add_argument("--mix", default="resnet50,mobilenet_v2,resnet50,vgg19")
    parser.add_argument("--outstanding", type=int, default=16, help="of a tenant")
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--warm-seconds", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", default=beside("bench_bare"))
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    with tempfile.TemporaryDirectory(prefix="tessera-sockets-") as temporary:
        folder = pathlib.Path(temporary)
        (folder / "models").mkdir()
        tenants = repository(arguments.models, arguments.mix.split(","), folder / "models")
        rounds = Rounds(arguments, folder / "models", tenants, folder)
        try:
            rounds.start()
            for number in range(arguments.rounds):
                print(f"round {number + 1} of {arguments.rounds} ...", file=sys.stderr, flush=True)
                rounds.measure()
                if arguments.json:
                    arguments.json.write_text(json.dumps({
                        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": " ".join(sys.argv),
                        "outstanding": arguments.outstanding, "rows": arguments.rows,
                        "summary": summary(rounds.found, arguments.rows), "devices": rounds.found,
                        "failed": rounds.failed}, indent=1) + "\n")
        finally:
            rounds.end()
    if rounds.found:
        print(table(rounds.found, arguments.rows))
    sys.exit(1 if rounds.failed else 0)


if __name__ == "__main__":
    main()

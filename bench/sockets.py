#!/usr/bin/env python3
"""Four tenants in closed loop: in the server's process, over HTTP, and over gRPC. One table: images a second of all, against
the arm in process, and CPU time of the server for each image. Over the wire each tenant has a client process of its own
for each device, so that the clients are not what is measured.

usage: sockets.py --models FOLDER [--tessera FILE] [--devices "cuda:0 cuda:0/0-7,cuda:0/8-15"] [--mix A,B,...]
                  [--outstanding 16] [--rows 1] [--seconds 4] [--rounds 1] [--grow-seconds 20] [--json FILE]

FOLDER is a model repository; a model that the mix names twice is copied. One --devices after the other is measured;
--outstanding is a tenant's for each device.
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

from objectives import tenant_names

ARMS = ("in process", "http", "grpc")
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


def load(arguments, target: list, tenants: list, out: pathlib.Path, warm: float = 1, outstanding: int = 0) -> subprocess.Popen:
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
    # Batch sizes follow a model while it serves, and nobody says here when they are there.
    return {"tenants": collect(load(arguments, target, tenants, out, arguments.grow_seconds, outstanding), out)}


def over_wire(arguments, server: Server, arm: str, device: str, tenants, folder) -> dict:
    outs = [(tenant, folder / f"{arm}-{tenant}-{place}.json") for tenant in tenants for place in range(len(device.split(",")))]
    before, begin = cpu_seconds(server.process.pid), time.monotonic()
    clients = [load(arguments, ["--url", server.urls[arm]], [tenant], out) for tenant, out in outs]
    found = {tenant: [] for tenant in tenants}
    for client, (tenant, out) in zip(clients, outs):
        found[tenant].append(collect(client, out)[tenant])
    busy = (cpu_seconds(server.process.pid) - before) / (time.monotonic() - begin)
    return {"tenants": {tenant: together(clients) for tenant, clients in found.items()}, "server_cores": busy}


def measure(arguments, models, device, tenants, folder) -> dict:
    arms = {arm: [] for arm in ARMS}
    server = Server(arguments.tessera, models, device, folder / "cache")  # first: it fills the cache
    try:
        server.wait_until_grown(len(tenants))
        for _ in range(arguments.rounds):
            for arm in ("http", "grpc"):
                arms[arm].append(over_wire(arguments, server, arm, device, tenants, folder))
    finally:
        server.end()
    for _ in range(arguments.rounds):
        arms["in process"].append(in_process(arguments, models, device, tenants, folder))
    return arms


def total(run: dict, rows: int) -> float:
    return sum(t["per_s"] for t in run["tenants"].values()) * rows


def table(devices: dict, rows: int) -> str:
    lines = [f"{'device':<24} {'arm':<11} {'images/s':>9} {'x in process':>12} {'server us/image':>16}"]
    for device, arms in devices.items():
        base = statistics.median(total(run, rows) for run in arms["in process"])
        for arm in ARMS:
            images = statistics.median(total(run, rows) for run in arms[arm])
            cpu = [run["server_cores"] / total(run, rows) * 1e6 for run in arms[arm] if "server_cores" in run]
            lines.append(f"{device:<24} {arm:<11} {images:9.0f} {images / base:12.3f} " +
                         (f"{statistics.median(cpu):16.1f}" if cpu else f"{'-':>16}"))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--tessera", default=beside("tessera"))
    parser.add_argument("--devices", default="cuda:0 cuda:0/0-7,cuda:0/8-15")
    parser.add_argument("--mix", default="resnet50,mobilenet_v2,resnet50,vgg19")
    parser.add_argument("--outstanding", type=int, default=16, help="of a tenant")
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--grow-seconds", type=float, default=20, help="in process, before what counts")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    devices, failed = {}, {}
    with tempfile.TemporaryDirectory(prefix="tessera-sockets-") as temporary:
        folder = pathlib.Path(temporary)
        (folder / "models").mkdir()
        tenants = repository(arguments.models, arguments.mix.split(","), folder / "models")
        for device in arguments.devices.split():
            print(f"{device} ...", file=sys.stderr, flush=True)
            try:
                devices[device] = measure(arguments, folder / "models", device, tenants, folder)
            except Failed as error:
                failed[device] = str(error)
                print(f"{device}: {error}", file=sys.stderr, flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps({
                    "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": " ".join(sys.argv),
                    "outstanding": arguments.outstanding, "rows": arguments.rows, "devices": devices,
                    "failed": failed}, indent=1) + "\n")
    if devices:
        print(table(devices, arguments.rows))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

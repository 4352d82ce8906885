#!/usr/bin/env python3
"""Several devices under load, in three parts: one is lost, one is added, and what N carry against one.

usage: several.py --models FOLDER [--part lost] [--part added] [--part capacity] [--devices cuda:0,cuda:1] [--rate R]
                  [--mix A,B,...] [--slo-factor 20] [--workload FILE] [--slo-factor-of-workload 10] [--seeds 3]
                  [--least-requests 2000] [--precision 0.03] [--search-from R] [--pretended] [--loss trap] [--json FILE] ...

lost      four tenants in open loop over HTTP on all devices, at 0.8 of what one carries (--rate); the last device is
          reported as lost (tessera_faulty; with --loss trap a kernel of it traps, which takes all GPUs from the process).
          How many requests got no answer, and the time until every tenant attains 99 % again over any 500 ms and does so
          for 2 s.
added     the same on the first device, at 1.3 of what it carries; the second one is added. How long that takes, and the
          time until it has 0.9 of its half of the launches over 500 ms. And again at 0.6: what the tenants' p99 is while
          the device opens and loads, against before.
capacity  in process, the highest rate at which all tenants attain 99 %, on the first device and on all.

FOLDER is a model repository. Without --rate a coarse search over HTTP finds what one device carries. --pretended: part
lost on pretended devices, for whose models tests/support/faulty has a format. A bar that is missed is said and changes
nothing about the exit status; a part that fails does.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import sockets
from objectives import tenant_names, with_objectives
from sockets import Failed

ROOT = pathlib.Path(__file__).resolve().parent.parent
PARTS = ("lost", "added", "capacity")
ATTAINED = 0.99
WINDOW = 0.5  # seconds
HOLDS = 2.0  # seconds for which a recovery has to last
BAR_SECONDS = 2.0  # to recover, and for a new device to have its share
BAR_SHARE = 0.9  # of a fair half
BAR_CAPACITY = 0.95  # of N times one device
BAR_P99 = 1.5  # while a device opens, against before
LOST_AT, ADDED_AT, EASY = 0.8, 1.3, 0.6  # of what one device carries
COST_ROWS = 8
LEAST_ANSWERS = 100  # for a p99 to be compared
INVALID = 3  # exit status of a client that was late itself


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def ask(url: str, body=None, timeout: float = 20):
    """The answer, an object of JSON, or text."""
    request = urllib.request.Request(url, data=None if body is None else json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        raise Failed(f"{url} answered {error.code}: {error.read().decode()[:500]}") from error
    except OSError as error:
        raise Failed(f"{url} does not answer: {error}") from error
    return json.loads(text) if text.startswith(("{", "[")) else text


def metric(server, name: str, **labels) -> float:
    """The sum of the samples that carry these labels."""
    total = 0.0
    for line in ask(f"http://{server.metrics}/metrics").splitlines():
        found = re.match(rf"{name}(?:{{(.*)}})? (\S+)$", line)
        if found:
            has = dict(re.findall(r'(\w+)="([^"]*)"', found[1] or ""))
            total += float(found[2]) if all(has.get(key) == value for key, value in labels.items()) else 0
    return total


class Watch:
    """Looks at the devices every `pause` seconds, on a thread of its own: [(Unix time, {device: launches}, devices down)]."""

    def __init__(self, server, pause: float):
        self.url, self.pause = server.urls["http"] + "/v2/tessera/devices", pause
        self.seen, self.failed = [], None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while not self.ending.wait(self.pause):
            try:
                devices = ask(self.url)["devices"]
            except Failed as error:
                self.failed = error
                continue  # the next look may succeed
            launches = {each["device"]: each["launches"] for each in devices}
            self.seen.append((time.time(), launches, [each["device"] for each in devices if not each["up"]]))

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.ending.set()
        self.thread.join()

    def looked(self) -> list:
        if not self.seen:
            raise Failed(f"the devices could not be looked at: {self.failed or 'there was no time'}")
        return self.seen


class Client:
    """`tessera load` in open loop, until it is told to end."""

    def __init__(self, arguments, server, workload: pathlib.Path, rate: float, out: pathlib.Path, warm: float = 1):
        out.unlink(missing_ok=True)
        self.out, self.warm = out, warm
        command = [arguments.tessera, "load", "--url", server.urls["http"], "--workload", str(workload), "--rate", f"{rate:.6g}",
                   "--seconds", "3600", "--warm-seconds", str(warm), "--json", str(out)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def wait(self, seconds: float) -> None:
        """For so long, after the warm-up the first time, or until it ended, which is an error."""
        seconds, self.warm = seconds + self.warm, 0
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise Failed(f"the client ended early: {self.last_words()}")

    def last_words(self) -> str:
        lines = self.process.stderr.read().strip().splitlines()
        return lines[-1] if lines else f"status {self.process.returncode}"

    def end(self) -> dict:
        """What it measured."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired as error:
            raise Failed("the client does not end") from error
        if self.process.returncode not in (0, INVALID) or not self.out.exists():
            raise Failed(f"the client failed: {self.last_words()}")
        self.process.stderr.close()
        return json.loads(self.out.read_text())


def windows(result: dict) -> list:
    """[(Unix time at its end, worst attainment of a tenant)] of every WINDOW, one for each step."""
    step, begin = result["timeline_step_seconds"], result["timeline_began_at"]
    wide = max(round(WINDOW / step), 1)
    lines = [tenant["timeline"] for tenant in result["tenants"]]
    steps = int(result["seconds"] / step)  # the last one may be shorter
    out = []
    for end in range(wide, steps + 1):
        worst = 1.0
        for line in lines:
            offered, met = sum(line["offered"][end - wide:end]), sum(line["met"][end - wide:end])
            worst = min(worst, met / offered if offered else 1.0)
        out.append((begin + end * step, worst))
    return out


def recovery(seen: list, since: float):
    """Seconds until all windows attain what they are to, to the end and for HOLDS at least; None: never."""
    good_from = last = None
    for at, worst in seen:
        if at < since:
            continue
        last = at
        good_from = None if worst < ATTAINED else at if good_from is None else good_from
    return good_from - since if good_from is not None and last - good_from >= HOLDS - 1e-6 else None


def without_answer(result: dict, since: float, until: float) -> dict:
    """Of requests scheduled between: how many were not answered, and the first and last step in which some were."""
    step, begin = result["timeline_step_seconds"], result["timeline_began_at"]
    count, first, last = 0, None, None
    for tenant in result["tenants"]:
        line = tenant["timeline"]
        for place, (offered, answered) in enumerate(zip(line["offered"], line["answered"])):
            at = begin + place * step
            if offered > answered and since - step < at < until:
                count += offered - answered
                first, last = min(first or at, at), max(last or at, at + step)
    return {"requests": count, "from_s": first and round(first - since, 3), "to_s": last and round(last - since, 3)}


def share(now: dict, then: dict, device: str) -> float:
    """Of the launches in between, those on the device."""
    made = {name: count - then.get(name, 0) for name, count in now.items()}
    return made.get(device, 0) / total if (total := sum(made.values())) else 0.0


def time_to_share(seen: list, device: str, since: float, fair: float):
    """Seconds until the device has BAR_SHARE of its fair part of the launches of a WINDOW that began after `since`; None: never."""
    for at, launches, _ in seen:
        before = [each for each in seen if since <= each[0] <= at - WINDOW]
        if before and share(launches, before[-1][1], device) >= BAR_SHARE * fair:
            return at - since
    return None


def ratio_of(run: dict, other: dict):
    """Of a tenant's p99; None: one has too few answers to have one."""
    enough = min(run["answered"], other["answered"]) >= LEAST_ANSWERS
    return run["p99_ms"] / other["p99_ms"] if enough else None


def validity(*results) -> dict:
    because = [result["invalid_because"] for result in results if not result["valid"]]
    return {"valid": not because, "invalid_because": because}


class Several:
    def __init__(self, arguments, folder: pathlib.Path):
        self.arguments, self.folder = arguments, folder
        self.found, self.failed, self.took = {}, {}, {}
        self.devices = arguments.devices.split(",")
        self.models = folder / "models"
        self.models.mkdir()
        self.tenants = sockets.repository(arguments.models, arguments.mix.split(","), self.models)
        for config in self.models.glob("*/config.pbtxt"):  # a byte for each value: images as bytes are
            config.write_text(config.read_text().replace("input=FP32", "input=UINT8"))
        self.cache = arguments.cache.absolute() if arguments.cache else folder / "cache"
        self.workload = None  # once objectives are known
        self.objectives, self.rate = {}, arguments.rate

    def run(self, part: str) -> None:
        begin = time.monotonic()
        try:
            self.keep(part, getattr(self, part)())
        except Failed as error:
            self.failed[part] = str(error)
            say(f"{part}: {error}")
        self.took[part] = round(time.monotonic() - begin, 1)
        self.write()

    def keep(self, part: str, found: dict) -> None:
        """What there is so far, so that nothing is lost."""
        self.found[part] = found
        self.write()

    def write(self) -> None:
        if self.arguments.json:
            self.arguments.json.write_text(json.dumps({
                "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": " ".join(sys.argv), "seconds": self.took,
                **self.found, "failed": self.failed}, indent=1) + "\n")

    @contextlib.contextmanager
    def serving(self, what: str, devices: list, faulty: bool = False):
        """Once all batch sizes are there, and with the objectives. `what` names its log."""
        more, device, program = [], ",".join(devices), self.arguments.tessera
        if faulty:
            program = self.arguments.faulty
            more = ["--pretended-devices", str(len(devices))] if self.arguments.pretended else ["--real", self.arguments.loss]
            device = "auto" if self.arguments.pretended else device
        if not pathlib.Path(program).exists():
            name = "tessera_faulty" if faulty else "tessera"
            raise Failed(f"{program} is not there: scripts/build --target {name}, or name it with --{name.removeprefix('tessera_')}")
        say(f"{what}: serving on {','.join(devices)} ...")
        server = sockets.Server(program, self.models, device, self.cache, more)
        try:
            server.wait_until_grown(len(self.tenants) * len(devices))
            if not self.workload:
                self.find_terms(server)
            for name, slo_ms in self.objectives.items():
                ask(f"{server.urls['http']}/v2/tessera/models/{name}/params", {"slo_ms": slo_ms})
            yield server
        except Failed as error:
            raise Failed(f"{error}; the server said last: {server.last_words()}") from error
        finally:
            server.end()
            if self.arguments.logs:
                self.arguments.logs.mkdir(parents=True, exist_ok=True)
                shutil.copy(server.log.name, self.arguments.logs / f"{what}.log")

    def client(self, server, rate: float, warm: float = 1) -> Client:
        return Client(self.arguments, server, self.workload, rate, self.folder / "client.json", warm)

    def alone(self, server, tenant: str, rows: int) -> float:
        out = self.folder / "alone.json"
        command = [self.arguments.tessera, "load", "--url", server.urls["http"], "--model", tenant, "--outstanding", "1", "--rows",
                   str(rows), "--seconds", "0.5", "--warm-seconds", "0.2", "--json", str(out)]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=sockets.PATIENCE,
                                  check=False)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{tenant} alone takes more than {sockets.PATIENCE} s: see the server's log (--logs)") from error
        if done.returncode != 0:
            raise Failed(f"{tenant} alone: {(done.stderr.strip().splitlines() or ['it failed'])[-1]}")
        found = json.loads(out.read_text())["tenants"][0]
        if not found["answered"]:
            raise Failed(f"{tenant} alone was never answered")
        return found["p50_ms"]

    def find_terms(self, server) -> None:
        """Objectives are multiples of the latency alone, rates in inverse proportion to the cost of a batch of eight."""
        known = {}
        tenants = []
        for name, model in zip(self.tenants, self.arguments.mix.split(",")):
            if model not in known:
                known[model] = self.alone(server, name, 1), self.alone(server, name, COST_ROWS)
            one, many = known[model]
            self.objectives[name] = round(max(self.arguments.slo_factor * one, self.arguments.least_slo_ms), 3)
            tenants.append({"name": name, "model": name, "share": 1 / many, "slo_ms": self.objectives[name]})
        self.workload = self.folder / "several.json"
        self.workload.write_text(json.dumps({"name": "several", "source": "bench/several.py", "tenants": tenants}))
        say("objectives: " + ", ".join(f"{name} {slo_ms} ms" for name, slo_ms in self.objectives.items()))

    def carried(self) -> float:
        """What one device carries, over HTTP."""
        if self.rate:
            return self.rate
        out = self.folder / "carried.json"
        with self.serving("carried", self.devices[:1], faulty=self.arguments.pretended) as server:
            say("searching for what one device carries (--rate R saves that) ...")
            command = [self.arguments.tessera, "load", "--url", server.urls["http"], "--workload", str(self.workload), "--search",
                       "--seeds", "2", "--least-requests", "400", "--precision", "0.1", "--json", str(out)]
            try:
                done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False)
            except subprocess.TimeoutExpired as error:
                raise Failed("the search takes more than 600 s: give --rate") from error
            if done.returncode not in (0, INVALID):
                raise Failed(f"the search failed: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
        self.rate = json.loads(out.read_text())["capacity"]
        if self.rate <= 0:
            raise Failed("one device carries nothing within the objectives: give --rate, or a larger --slo-factor")
        say(f"one device carries {self.rate:.0f} a second")
        return self.rate

    # ---- A device is lost ----

    def lost(self) -> dict:
        if len(self.devices) < 2:
            raise Failed("part lost needs two devices: --devices cuda:0,cuda:1")
        rate = LOST_AT * self.carried()
        with self.serving("lost", self.devices, faulty=True) as server, self.client(server, rate) as client:
            client.wait(self.arguments.before_seconds)
            before, refused, at = self.running(server), self.refused(server), time.time()
            say(f"{rate:.0f} a second; the last device is made to fail ...")
            with Watch(server, 0.02) as watch:
                server.process.send_signal(signal.SIGUSR1)
                client.wait(self.arguments.after_seconds)
            seen = watch.looked()
            failures, others = (now - was for now, was in zip(self.refused(server), refused))
            result = client.end()
        out = self.judge_lost(result, rate, at, before, seen, failures, others)
        out["server_exit"] = server.process.returncode
        return out

    def refused(self, server) -> tuple:
        """Requests that got no answer: for their device, and for other reasons."""
        device = metric(server, "tessera_rejected_total", reason="device")
        return device, metric(server, "tessera_rejected_total") - device

    def running(self, server) -> float:
        """Requests that run at a time, by Little's law: what were answered in all, times how long they ran, over how long it took."""
        names = ("tessera_request_latency_seconds_sum", "tessera_queue_time_seconds_sum")
        begin, then = time.monotonic(), [metric(server, name) for name in names]
        time.sleep(1)
        latency, queue = (metric(server, name) - was for name, was in zip(names, then))
        return max(latency - queue, 0) / (time.monotonic() - begin)

    def judge_lost(self, result, rate, at, running, seen, failures, others) -> dict:
        down = next((when for when, _, names in seen if names), None)
        if down is None:
            raise Failed("the device did not get lost: see whether the server's log knows of SIGUSR1")
        views = windows(result)
        before = [worst for when, worst in views if when <= at]
        took = recovery(views, at)
        found_in = down - at
        there = running / len(self.devices)
        # What it was given until the loss was seen runs there, too. Batches come whole, and numbers at an instant vary.
        most_there = 4 * there + rate / len(self.devices) * found_in + 32
        return {"rate": rate, "devices": self.devices, "objectives_ms": self.objectives, **validity(result),
                "windows_good_before": sum(worst >= ATTAINED for worst in before) / max(len(before), 1),
                "attainment": {t["name"]: t["attainment"] for t in result["tenants"]},
                "seen_down_after_s": round(found_in, 3), "ran_there_mean": round(there, 2), "ran_there_at_most": round(most_there, 1),
                "failed_with_device": failures, "without_answer_for_other_reasons": others,
                "no_answer": without_answer(result, at, at + self.arguments.after_seconds),
                "client_failures": {t["name"]: t["failures"] for t in result["tenants"] if t["failed"]},
                "recovered_after_s": took and round(took, 3),
                "passed": took is not None and took <= BAR_SECONDS and failures <= most_there,
                "windows": [[round(when - at, 3), round(worst, 4)] for when, worst in views if when > at - 2]}

    # ---- A device is added ----

    def added(self) -> dict:
        if len(self.devices) < 2:
            raise Failed("part added needs two devices: --devices cuda:0,cuda:1")
        if self.arguments.pretended:
            raise Failed("part added has no pretended devices: leave --pretended out")
        carried = self.carried()
        out = {"devices": self.devices[:2], "carried": carried, "objectives_ms": self.objectives}
        out["share"] = self.share_of_added(ADDED_AT * carried)
        out["opening"] = self.neighbours_of_added(EASY * carried)
        return out

    def add(self, server, device: str) -> float:
        """How long it takes."""
        begin = time.monotonic()
        ask(server.urls["http"] + "/v2/tessera/devices", {"add": device}, timeout=sockets.PATIENCE)
        return time.monotonic() - begin

    def share_of_added(self, rate: float) -> dict:
        new = self.devices[1]
        with self.serving("added", self.devices[:1]) as server, self.client(server, rate) as client:
            client.wait(self.arguments.before_seconds)
            say(f"{rate:.0f} a second; {new} is added ...")
            at = time.time()
            with Watch(server, 0.05) as watch:
                took = self.add(server, new)
                client.wait(self.arguments.after_seconds)
            seen = watch.looked()
            result = client.end()
        first = next((when for when, launches, _ in seen if launches.get(new)), None)
        if first is None:
            raise Failed(f"nothing was launched on {new}")
        from_first, from_answer = (time_to_share(seen, new, since, 0.5) for since in (first, at + took))
        after = [each for each in seen if each[0] >= at + took]
        recovered = recovery(windows(result), at + took)
        return {"rate": rate, **validity(result), "post_took_s": round(took, 3), "first_launch_after_s": round(first - at, 3),
                "to_share_from_first_launch_s": from_first and round(from_first, 3),
                "to_share_from_answer_s": from_answer and round(from_answer, 3),
                "share_afterwards": round(share(after[-1][1], after[0][1], new), 4) if len(after) > 1 else None,
                "passed": from_answer is not None and from_answer <= BAR_SECONDS,
                "passed_from_first_launch": from_first is not None and from_first <= BAR_SECONDS,
                "recovered_after_answer_s": recovered and round(recovered, 3),
                "launches": [[round(when - at, 3), *(launches.get(name, 0) for name in self.devices[:2])]
                             for when, launches, _ in seen]}

    def calm(self, server, rate: float) -> dict:
        with self.client(server, rate) as client:
            client.wait(self.arguments.before_seconds)
            return client.end()

    def neighbours_of_added(self, rate: float) -> dict:
        new = self.devices[1]
        with self.serving("opening", self.devices[:1]) as server:
            before = self.calm(server, rate)
            with self.client(server, rate, warm=0.5) as client:
                client.wait(0.5)
                say(f"{rate:.0f} a second; {new} is added ...")
                took = self.add(server, new)
                during = client.end()  # until the answer, and no longer
            after = self.calm(server, rate)
        tenants = {}
        for was, meanwhile, then in zip(before["tenants"], during["tenants"], after["tenants"]):
            runs = {"before": was, "opening": meanwhile, "after": then}
            tenants[was["name"]] = {"answered": {name: run["answered"] for name, run in runs.items()},
                                    "p99_ms": {name: run["p99_ms"] for name, run in runs.items()},
                                    "slowest_ms": {name: max(run["timeline"]["slowest_ms"]) for name, run in runs.items()},
                                    "attainment": {name: run["attainment"] for name, run in runs.items()},
                                    "ratio": ratio_of(meanwhile, was)}
        ratios = [tenant["ratio"] for tenant in tenants.values() if tenant["ratio"]]
        return {"rate": rate, **validity(before, during, after), "post_took_s": round(took, 3), "measured_s": during["seconds"],
                "tenants": tenants, "worst_p99_ratio": max(ratios, default=None),
                "passed": max(ratios) <= BAR_P99 if ratios else None}

    # ---- Open loop on one and on all ----

    def capacity(self) -> dict:
        if self.arguments.pretended:
            raise Failed("part capacity has no pretended devices: leave --pretended out")
        workload, models, names = self.capacity_workload()
        out = {"workload": self.arguments.workload.name, "tenants": len(names),
               "slo_factor": self.arguments.slo_factor_of_workload, "arms": [], "ratio": None, "passed": None}
        for count in self.arguments.count or sorted({1, len(self.devices)}):
            devices = self.devices[:count]
            rate = self.arguments.search_from and self.arguments.search_from * len(devices)
            say(f"capacity of {','.join(devices)} ...")
            out["arms"].append(self.search(workload, models, devices, rate))
            out.update(validity(*out["arms"]))
            self.keep("capacity", out)
            say(f"{','.join(devices)}: {out['arms'][-1]['capacity']:.0f} a second in {out['arms'][-1]['seconds']:.0f} s")
        one, most = out["arms"][0], out["arms"][-1]
        if most["devices"] > one["devices"]:
            times = most["devices"] / one["devices"]
            out["ratio"] = most["capacity"] / (one["capacity"] * times) if one["capacity"] else 0
            out["passed"] = out["ratio"] >= BAR_CAPACITY
        return out

    def capacity_workload(self):
        """The workload with its objectives, a repository with an instance for each tenant, and their names."""
        folder = self.folder / "capacity"
        folder.mkdir()
        profiles = json.loads(self.arguments.profiles.read_text())["devices"]
        if self.arguments.name not in profiles:
            raise Failed(f"{self.arguments.profiles} has no device '{self.arguments.name}': name one with --name "
                         f"({', '.join(profiles)})")
        try:
            workload = with_objectives(self.arguments.workload, profiles[self.arguments.name], folder,
                                       self.arguments.slo_factor_of_workload)
        except KeyError as error:
            raise Failed(f"the profile '{self.arguments.name}' lacks the model {error}: give the workload's tenants slo_ms, or "
                         "other --profiles") from error
        tenants = json.loads(workload.read_text())["tenants"]
        names = tenant_names(tenants)
        try:
            sockets.tenants_repository(self.arguments.models, tenants, folder / "models")
        except OSError as error:
            raise Failed(f"{error}: --models is to have what {self.arguments.workload.name} asks for") from error
        return workload, folder / "models", names

    def search(self, workload, models, devices: list, rate) -> dict:
        out = self.folder / f"search-{len(devices)}.json"
        command = [self.arguments.tessera, "load", "--workload", workload, "--own-models", "--model-repository", models, "--device",
                   ",".join(devices), "--cache-dir", self.cache, "--search", "--seeds", self.arguments.seeds, "--least-requests",
                   self.arguments.least_requests, "--precision", self.arguments.precision, "--warm-seconds", "0.5", "--json", out]
        command += ["--rate", rate] if rate else []
        begin, samples = time.monotonic(), []
        with open(self.folder / "search.log", "w+", encoding="utf-8") as log:
            process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
            usage = None
            try:
                while usage is None:
                    time.sleep(0.2)
                    samples.append((time.monotonic(), sockets.cpu_seconds(process.pid)))
                    pid, status, found = os.wait4(process.pid, os.WNOHANG)
                    if pid:
                        process.returncode = os.waitstatus_to_exitcode(status)
                        usage = found
                    elif time.monotonic() - begin > self.arguments.search_seconds:
                        raise Failed(f"the search takes more than {self.arguments.search_seconds} s: fewer --least-requests or "
                                     "--seeds, a larger --precision, a closer --search-from, or more --search-seconds")
            finally:
                if usage is None:
                    process.kill()
                    process.wait()
            log.seek(0)
            said = log.read().strip().splitlines()
        took = time.monotonic() - begin
        if process.returncode not in (0, INVALID) or not out.exists():
            raise Failed(f"the search on {','.join(devices)} failed: {said[-1] if said else process.returncode}")
        result = json.loads(out.read_text())
        # Models load in the first part, and nothing of that is wanted: the second half tells of serving.
        half = next((each for each in samples if each[0] >= begin + took / 2), samples[-1])
        last = samples[-1]
        cores = (last[1] - half[1]) / (last[0] - half[0]) if last[0] > half[0] else None
        kept = ("capacity", "capacity_95", "goodput", "valid", "invalid_because", "probes")
        return {"device": ",".join(devices), "devices": len(devices), "seconds": round(took, 1),
                "cores": round((usage.ru_utime + usage.ru_stime) / took, 3), "cores_in_second_half": cores and round(cores, 3),
                **{key: result[key] for key in kept}}


def seconds(value) -> str:
    return "never" if value is None else f"{value:.2f} s"


def verdict(passed, valid: bool = True) -> str:
    said = "too little to tell" if passed is None else "within its bar" if passed else "MISSES ITS BAR"
    return said + ("" if valid else ", INVALID: the client was late itself")


def table(parts: dict) -> str:
    lines = []
    if lost := parts.get("lost"):
        lines += [f"lost      {lost['rate']:.0f} a second: all tenants attain 99 % again after {seconds(lost['recovered_after_s'])}, "
                  f"bar {BAR_SECONDS} s: " + verdict(lost["passed"], lost["valid"]),
                  f"          the loss was seen after {seconds(lost['seen_down_after_s'])}; {lost['failed_with_device']:.0f} requests "
                  f"failed with the device (at most {lost['ran_there_at_most']:.0f} ran there), "
                  f"{lost['no_answer']['requests']} had no answer"]
    if added := parts.get("added"):
        part, opening = added["share"], added["opening"]
        p99 = ", ".join(f"{name} {each['p99_ms']['opening']:.2f} (before {each['p99_ms']['before']:.2f})"
                        for name, each in opening["tenants"].items())
        lines += [f"added     {part['rate']:.0f} a second: POST took {seconds(part['post_took_s'])}, first launch after "
                  f"{seconds(part['first_launch_after_s'])}",
                  f"          {100 * BAR_SHARE:.0f} % of its half {seconds(part['to_share_from_answer_s'])} after the answer, "
                  f"{seconds(part['to_share_from_first_launch_s'])} after the first launch, bar {BAR_SECONDS} s: " +
                  verdict(part["passed"], part["valid"]),
                  f"          {opening['rate']:.0f} a second: p99 ms while it opens {p99}, bar {BAR_P99} x: " +
                  verdict(opening["passed"], opening["valid"])]
    if capacity := parts.get("capacity"):
        lines += [f"capacity  {arm['device']:<24} {arm['capacity']:9.1f} a second, {arm['cores_in_second_half']} cores"
                  for arm in capacity["arms"]]
        ratio = capacity["ratio"]
        lines += [f"          {'-' if ratio is None else f'{ratio:.3f}'} of N times one, bar {BAR_CAPACITY}: " +
                  verdict(capacity["passed"], capacity["valid"])]
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--tessera", default=sockets.beside("tessera"))
    parser.add_argument("--faulty", default=sockets.beside("tessera_faulty"))
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--devices", default="cuda:0,cuda:1")
    parser.add_argument("--cache", type=pathlib.Path, help="kept between calls")
    parser.add_argument("--mix", default="resnet50,mobilenet_v2,resnet50,vgg19")
    parser.add_argument("--rate", type=float, help="a second, of all tenants: what one device carries")
    parser.add_argument("--slo-factor", type=float, default=20, help="of the latency alone")
    parser.add_argument("--least-slo-ms", type=float, default=0, help="the tightest objective")
    parser.add_argument("--before-seconds", type=float, default=4)
    parser.add_argument("--after-seconds", type=float, default=8)
    parser.add_argument("--loss", choices=("report", "trap"), default="report")
    parser.add_argument("--pretended", action="store_true")
    parser.add_argument("--workload", type=pathlib.Path, default=ROOT / "bench" / "workloads" / "mix16.json")
    parser.add_argument("--slo-factor-of-workload", type=float, default=10)
    parser.add_argument("--profiles", type=pathlib.Path, default=ROOT / "bench" / "profiles" / "h200.json")
    parser.add_argument("--name", default="h200", help="of the device in --profiles")
    parser.add_argument("--count", type=int, action="append", help="part capacity: of the devices, repeatedly (1 and all)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--least-requests", type=int, default=2000)
    parser.add_argument("--precision", type=float, default=0.03)
    parser.add_argument("--search-from", type=float, help="a second, on one device")
    parser.add_argument("--search-seconds", type=float, default=900, help="at most, of one search")
    parser.add_argument("--logs", type=pathlib.Path, help="folder for the servers' logs")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    if arguments.pretended and arguments.loss == "trap":
        sys.exit("several: pretended devices have no kernel that traps: leave --loss out")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    with tempfile.TemporaryDirectory(prefix="tessera-several-") as temporary:
        try:
            several = Several(arguments, pathlib.Path(temporary))
        except OSError as error:
            sys.exit(f"{error}: --models is to be a repository with {arguments.mix}, as bench/models.py makes it")
        for part in arguments.part or PARTS:
            several.run(part)
    if several.found:
        print(table(several.found))
    sys.exit(1 if several.failed else 0)


if __name__ == "__main__":
    main()

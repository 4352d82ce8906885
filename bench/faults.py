#!/usr/bin/env python3
"""What goes wrong on a card, with processes as they are: each part starts a server, puts it under load, and sees to every
request that was sent.

usage: faults.py --models FOLDER [--part trap] [--part spin] [--part memory] [--device cuda:0] [--names A,B,C] [--askers 4]
                 [--before-seconds 1.5] [--pretended] [--logs FOLDER] [--json FILE]

trap     a kernel traps on the only device (tessera_faulty): how long until health says so, what became of the requests that
         ran and of later ones, when and how the process ended.
spin     a kernel of one model's batch does not end: when that is noticed, what the other models answer meanwhile, when and
         how the process ended.
memory   another process takes the card's memory while one model is served: another one is loaded with less and less room
         (where that is too little for its first run, or for its weights), and again when the memory is back.

FOLDER: as bench/models.py makes it; the last name is the one that is loaded with too little room. --pretended: on
pretended devices and models of their own. Prints a line for each bar; the exit status is 1 where one is missed.
"""

import argparse
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import asking
import occupy
import sockets
from asking import Asker, Health, outcomes, times
from sockets import Failed

PARTS = ("trap", "spin", "memory")
END_AFTER = 5.0  # seconds, between a fault and the end of the process: as serve.cc has it, and what --stuck-exit-secs is given
ENDED_IN = 15.0  # at most: with what the driver takes to tell of a trap, and to drain beside a batch that does not end
EXIT_LOST, EXIT_STUCK = 1, 3
SEEN_IN = 5.0  # seconds to the news of a trap: the driver alone takes 3.5
NOTICED_IN = 2.0  # seconds, while ten times a batch's predicted time is less
SLACK = 0.5  # of what is noticed
LATE = 0.5  # seconds before its end in which a process may close connections unanswered
STEP = 0.5  # seconds in which a model that goes on answers something
SHARE = 0.3  # of the device, at most, for each model: so that slices do not overlap
ROOM_MB = (64, 160, 320, 640, 1280)  # that the card has left for another model

FAKE = """tessera-fake 1
input INPUT0 INT32 [4]
output OUTPUT0 INT32 [4] copy INPUT0
latency 1 1 2ms
memory {memory}
fault hang 66
"""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def rounded(value):
    return None if value is None else round(value, 3)


class Faults:
    def __init__(self, arguments, folder: pathlib.Path):
        self.arguments, self.folder = arguments, folder
        self.found, self.failed, self.bars, self.askers = {}, {}, [], []
        self.names = ["one", "two", "three"] if arguments.pretended else arguments.names.split(",")
        self.models = folder / "models"
        self.models.mkdir()
        if arguments.pretended:
            for name, memory in zip((*self.names, "hog"), (20, 20, 60, 60)):
                (self.models / name / "1").mkdir(parents=True)
                (self.models / name / "1" / "model.onnx").write_text(FAKE.format(memory=memory))
                (self.models / name / "config.pbtxt").write_text("")
        else:
            sockets.repository(arguments.models, self.names, self.models)
        for name in self.names:
            with open(self.models / name / "config.pbtxt", "a", encoding="utf-8") as config:
                config.write(f'parameters {{ key: "max_share" value {{ string_value: "{SHARE}" }} }}\n')

    def run(self, part: str) -> None:
        begin = time.monotonic()
        try:
            self.found[part] = getattr(self, part)()
        except (Failed, occupy.Failed) as error:
            self.failed[part] = str(error)
            say(f"{part}: {error}")
        finally:
            self.end_askers()
        self.found.setdefault(part, {})["took_s"] = round(time.monotonic() - begin, 1)
        if self.arguments.json:
            self.arguments.json.write_text(json.dumps({
                "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": " ".join(sys.argv), **self.found,
                "bars": self.bars, "failed": self.failed}, indent=1) + "\n")

    def bar(self, part: str, what: str, figure, passed: bool) -> None:
        self.bars.append({"part": part, "what": what, "figure": figure, "passed": bool(passed)})

    def serve(self, part: str, names: list, more: list) -> sockets.Server:
        pretended = self.arguments.pretended
        faulty = pretended or "--real" in more
        program = self.arguments.faulty if faulty else self.arguments.tessera
        if not pathlib.Path(program).exists():
            raise Failed(f"{program} is not there: scripts/build --target {pathlib.Path(program).name}")
        for name in names:
            more = [*more, "--load-model", name]
        say(f"{part}: serving {', '.join(names)} ...")
        server = sockets.Server(program, self.models, "auto" if pretended else self.arguments.device, self.folder / "cache",
                                ["--model-control-mode", "explicit", "--stuck-exit-secs", f"{END_AFTER:.0f}", *more])
        try:
            if not pretended:
                server.wait_until_grown(len(names))
        except Failed:
            self.end(part, server)
            raise
        return server

    def end(self, part: str, server: sockets.Server) -> None:
        server.end()
        if self.arguments.logs:
            self.arguments.logs.mkdir(parents=True, exist_ok=True)
            shutil.copy(server.log.name, self.arguments.logs / f"{part}.log")

    def ask(self, server, names: list) -> None:
        self.askers = [Asker(server.urls["http"], name) for name in names for _ in range(self.arguments.askers)]

    def end_askers(self) -> dict:
        """What each model was sent, in order."""
        for asker in self.askers:
            asker.ending.set()
        sent = {}
        for asker in self.askers:
            sent.setdefault(asker.model, []).extend(asker.end())
        self.askers = []
        return {name: sorted(each, key=lambda one: one.begin) for name, each in sent.items()}

    def wait_for_exit(self, server, seconds: float) -> float:
        try:
            server.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"the process does not end within {seconds} s; the server said last: {server.last_words()}") from error
        return time.monotonic()

    # ---- A trap on the only device ----

    def trap(self) -> dict:
        server = self.serve("trap", self.names, [] if self.arguments.pretended else ["--real", "trap"])
        try:
            self.ask(server, self.names)
            health = Health(server.urls["http"])
            time.sleep(self.arguments.before_seconds)
            say("trap: SIGUSR1 ...")
            at = time.monotonic()
            server.process.send_signal(signal.SIGUSR1)
            ended = self.wait_for_exit(server, ENDED_IN + SEEN_IN)
            health.end()
            sent = [each for of_model in self.end_askers().values() for each in of_model]
        finally:
            self.end("trap", server)
        return self.judge_trap(sent, health, at, ended, server.process.returncode)

    def judge_trap(self, sent: list, health: Health, at: float, ended: float, status: int) -> dict:
        before = [each for each in sent if each.end < at]
        running = [each for each in sent if each.begin <= at <= each.end]
        seen = {what: health.denied[what] - at if what in health.denied else None for what in ("live", "ready")}
        known = health.denied.get("live", ended)
        later = [each for each in sent if known < each.begin < ended - LATE]
        accounted = [each for each in sent if at <= each.end and each.begin < ended - LATE]
        lost = [each for each in accounted if each.status in ("hangs", "broken")]
        longest = max((each.end - at for each in running), default=0.0)
        first_error = min((each.end - at for each in sent if each.end >= at and each.status != 200), default=None)
        for what in ("live", "ready"):
            self.bar("trap", f"health: {what} denied, s (at most {SEEN_IN})", rounded(seen[what]),
                     seen[what] is not None and seen[what] <= SEEN_IN)
        self.bar("trap", f"requests that ran, all answered, longest s (at most {SEEN_IN})", rounded(longest),
                 running and longest <= SEEN_IN and all(isinstance(each.status, int) for each in running))
        self.bar("trap", f"requests that hang or are lost, of {len(accounted)} since", len(lost), not lost)
        self.bar("trap", f"later requests refused, with 503 or as connections, of {len(later)}", sum(each.status in (503, "refused") for each in later),
                 later and all(each.status in (503, "refused") for each in later))
        self.bar("trap", f"process ended, s (at most {ENDED_IN})", rounded(ended - at), ended - at <= ENDED_IN)
        self.bar("trap", f"exit status ({EXIT_LOST})", status, status == EXIT_LOST)
        return {"before": times(before), "health_denied_after_s": {what: rounded(each) for what, each in seen.items()},
                "health_said": health.words, "ran": len(running), "ran_outcomes": outcomes(running),
                "longest_of_these_s": rounded(longest), "first_error_after_s": rounded(first_error),
                "since_outcomes": outcomes(accounted), "later_outcomes": outcomes(later), "ended_after_s": rounded(ended - at),
                "exit_status": status}

    # ---- A batch that does not end ----

    def spin(self) -> dict:
        server = self.serve("spin", self.names, [] if self.arguments.pretended else ["--real", "spin"])
        url = server.urls["http"]
        try:
            self.ask(server, self.names)
            health = Health(url)
            time.sleep(self.arguments.before_seconds)
            say("spin: SIGUSR1 ..." if not self.arguments.pretended else "spin: a request that does not end ...")
            at = time.monotonic()
            if self.arguments.pretended:
                self.askers.append(Asker(url, self.names[0], first=66))
                self.askers[-1].ending.set()
            else:
                server.process.send_signal(signal.SIGUSR1)
            noticed = health.wait_until_denied("ready", 10 * NOTICED_IN)
            states = asking.index(url)
            asking.call(f"{url}/v2/health/live")  # which it is, until its end
            ended = self.wait_for_exit(server, 2 * ENDED_IN)
            health.end()
            sent = self.end_askers()
        finally:
            self.end("spin", server)
        found = self.judge_spin(sent, states, at, noticed, ended, server.process.returncode)
        return {**found, "health_said": health.words, "states": states}

    def judge_spin(self, sent: dict, states: dict, at: float, noticed: float, ended: float, status: int) -> dict:
        stuck = [name for name in self.names if "does not end" in states[name][1]]
        others = [name for name in self.names if name not in stuck]
        until = noticed + END_AFTER - LATE  # afterwards it drains
        phases = {"before": (at - self.arguments.before_seconds, at), "unnoticed": (at, noticed), "noticed": (noticed, until)}
        tenants = {}
        for name in self.names:
            tenants[name] = {phase: {**times(part), "outcomes": outcomes(part)} for phase, (begin, end) in phases.items()
                             for part in [[each for each in sent[name] if begin <= each.end < end]]}
        silent = {name: self.silence([each.end for each in sent[name] if each.status == 200 and at <= each.end < until], at, until)
                  for name in others}
        held_up = sum(each.status != 200 for name in others for each in sent[name] if at <= each.end < until)
        refused = [each for name in stuck for each in sent[name] if noticed + 0.1 < each.begin < until]
        everything = [each for of_model in sent.values() for each in of_model if at <= each.end and each.begin < ended - LATE]
        lost = [each for each in everything if each.status in ("hangs", "broken")]
        self.bar("spin", f"noticed, s (at most {NOTICED_IN} + {SLACK})", rounded(noticed - at), noticed - at <= NOTICED_IN + SLACK)
        self.bar("spin", "models out of service (1)", ", ".join(stuck), len(stuck) == 1)
        self.bar("spin", f"its later requests refused with 503, of {len(refused)}", sum(each.status == 503 for each in refused),
                 refused and all(each.status == 503 for each in refused))
        longest = max(silent.values(), default=None)
        self.bar("spin", f"other models: longest time without an answer, s (at most {STEP})", rounded(longest),
                 longest is not None and longest <= STEP)
        at_once = self.arguments.askers * len(others)  # a batch of each may be committed behind it
        self.bar("spin", f"other models: requests that it held up and took along (at most {at_once})", held_up, held_up <= at_once)
        self.bar("spin", f"requests that hang or are lost, of {len(everything)} since", len(lost), not lost)
        self.bar("spin", f"process ended after the notice, s ({END_AFTER} to {ENDED_IN})", rounded(ended - noticed),
                 END_AFTER - 0.5 <= ended - noticed <= ENDED_IN)
        self.bar("spin", f"exit status ({EXIT_STUCK})", status, status == EXIT_STUCK)
        return {"stuck": stuck, "noticed_after_s": rounded(noticed - at), "tenants": tenants,
                "longest_silence_s": {name: rounded(each) for name, each in silent.items()}, "held_up": held_up,
                "ended_after_notice_s": rounded(ended - noticed), "exit_status": status}

    @staticmethod
    def silence(ends: list, begin: float, end: float) -> float:
        moments = [begin, *sorted(ends), end]
        return max(later - earlier for earlier, later in zip(moments, moments[1:]))

    # ---- Memory that another process has ----

    def memory(self) -> dict:
        served, other = self.names[0], self.names[-1]
        server = self.serve("memory", [served], [])
        url, occupant = server.urls["http"], None
        try:
            self.ask(server, [served])
            time.sleep(self.arguments.before_seconds)
            at = time.monotonic()
            if self.arguments.pretended:
                asking.load(url, "hog")
                steps = [self.attempt(server, other, None)]
                asking.unload(url, "hog")
            else:
                occupant = occupy.Occupant(self.arguments.device.partition(":")[2].partition("/")[0] or "0")
                steps = [self.attempt(server, other, occupant.leave(mb)) for mb in ROOM_MB]
                occupant.end()
            again = self.attempt(server, other, None)
            until = time.monotonic()
            sent = self.end_askers()[served]
        finally:
            if occupant:
                occupant.end()
            self.end("memory", server)
        return self.judge_memory(sent, steps, again, at, until)

    def attempt(self, server, model: str, left) -> dict:
        """Loads it, asks it, and unloads it where it was loaded."""
        url, begin = server.urls["http"], time.monotonic()
        log_from = len(pathlib.Path(server.log.name).read_text())
        out = {"left_bytes": left, "error": None, "answer": None}
        try:
            asking.load(url, model)
            out["load_s"] = rounded(time.monotonic() - begin)
            time.sleep(0.5)  # for batch sizes that follow
            try:
                asking.call(f"{url}/v2/models/{model}/infer", *asking.row_of(url, model))
                out["answer"] = 200
            except Failed as error:
                out["answer"] = str(error)
            asking.unload(url, model)
        except Failed as error:
            out["error"] = re.sub(r"^http://[^ ]* ?", "", str(error))
        said = pathlib.Path(server.log.name).read_text()[log_from:].splitlines()
        out["log"] = [line[:300] for line in said if "memory" in line.lower()][:5]
        say(f"memory: {'all' if left is None else f'{left / 1e6:.0f} MB'} left: {out['error'] or 'loaded'}")
        return out

    def judge_memory(self, sent: list, steps: list, again: dict, at: float, until: float) -> dict:
        refused = [step for step in steps if step["error"]]
        wordless = [step for step in refused if "memory" not in step["error"].lower()]
        during = [each for each in sent if at <= each.end <= until]
        wrong = [each for each in during if each.status != 200]
        self.bar("memory", f"loads without room that failed, of {len(steps)} with less or more of it", len(refused), refused)
        self.bar("memory", "of these, errors that do not name memory", len(wordless), not wordless)
        self.bar("memory", "loaded with too little room, and then no answer",
                 sum(not step["error"] and step["answer"] != 200 and "memory" not in str(step["answer"]) for step in steps),
                 all(step["error"] or step["answer"] == 200 or "memory" in str(step["answer"]) for step in steps))
        self.bar("memory", f"the other model's requests that failed, of {len(during)}", len(wrong), during and not wrong)
        self.bar("memory", "loads once the memory is back, s", again.get("load_s"), again["answer"] == 200)
        return {"before": times([each for each in sent if each.end < at]), "during": times(during), "outcomes": outcomes(during),
                "steps": steps, "again": again}


def table(bars: list) -> str:
    return "\n".join(f"{each['part']:<7} {'within' if each['passed'] else 'MISSED':<7} {each['what']}: {each['figure']}" for each in bars)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=pathlib.Path, help="needed unless --pretended")
    parser.add_argument("--tessera", default=sockets.beside("tessera"))
    parser.add_argument("--faulty", default=sockets.beside("tessera_faulty"))
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--names", default="resnet50,mobilenet_v2,vgg19")
    parser.add_argument("--askers", type=int, default=4, help="requests of each model on their way")
    parser.add_argument("--before-seconds", type=float, default=1.5)
    parser.add_argument("--pretended", action="store_true")
    parser.add_argument("--logs", type=pathlib.Path, help="folder for the servers' logs")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    if not arguments.models and not arguments.pretended:
        parser.error("--models, or --pretended")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    with tempfile.TemporaryDirectory(prefix="tessera-faults-") as temporary:
        try:
            faults = Faults(arguments, pathlib.Path(temporary))
        except OSError as error:
            sys.exit(f"{error}: --models is to be a repository with {arguments.names}, as bench/models.py makes it")
        for part in arguments.part or PARTS:
            faults.run(part)
    print(table(faults.bars))
    sys.exit(1 if faults.failed or not all(each["passed"] for each in faults.bars) else 0)


if __name__ == "__main__":
    main()

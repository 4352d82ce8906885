#!/usr/bin/env python3
"""Models marked `evictable` on a GPU that has not memory for all of them: each request goes to one that has left, and the time
to its answer is told. Another process takes most of the card's memory first.

usage: evictable.py --models FOLDER [--tessera FILE] [--device cuda:0] [--names resnet50,mobilenet_v2,vgg19] [--left-mb N]
                    [--rounds 5] [--json FILE]

--left-mb: what is left for models, beside what the server takes for itself; unless given it is looked for, so that each has
left by the time its turn comes. FOLDER: as bench/models.py makes it. --pretended: on a pretended device of 100 MB, for
whose models tests/support/faulty has a format; --tessera is tessera_faulty then.
"""

import argparse
import json
import pathlib
import signal
import statistics
import sys
import tempfile
import time

import asking
import occupy
import sockets

EVICTABLE = 'parameters { key: "evictable" value { string_value: "true" } }\n'
LEAST_MB, MOST_MB = 100, 4000  # between which --left-mb is looked for
TRIES = 8
PAUSE = 0.7  # seconds: who was asked within 0.5 s is not idle, and does not leave


class Models:
    """What is asked of the server, one model after the other."""

    def __init__(self, url: str, names: list):
        self.url, self.names, self.rows = url, names, {}

    def load(self) -> None:
        for name in self.names:
            asking.load(self.url, name)
            self.rows.setdefault(name, asking.row_of(self.url, name))
            time.sleep(PAUSE)

    def unload(self) -> None:
        states = asking.index(self.url)
        for name in self.names:
            if states[name][0] == "READY":
                asking.unload(self.url, name)

    def ask(self, name: str) -> float:
        """Milliseconds to the answer."""
        begin = time.monotonic()
        asking.call(f"{self.url}/v2/models/{name}/infer", *self.rows[name])
        return (time.monotonic() - begin) * 1e3

    def turns(self, rounds: int, say=lambda *_: None) -> list:
        found = []
        for _ in range(rounds):
            for name in self.names:
                was_away = "set aside" in asking.index(self.url)[name][1]
                took = self.ask(name)
                again = statistics.median(self.ask(name) for _ in range(5))
                found.append({"model": name, "was_away": was_away, "first_ms": took, "then_ms": again})
                say(found[-1])
                time.sleep(PAUSE)
        return found


def all_leave(models: Models, occupant: occupy.Occupant, mb: int) -> str:
    """Whether each has left by the time its turn comes: "yes", or which way to go."""
    models.unload()
    left = occupant.leave(mb)
    print(f"{left / 1e6:.0f} MB are left ...", file=sys.stderr, flush=True)
    try:
        models.load()
        models.turns(1)
        return "yes" if all(each["was_away"] for each in models.turns(1)) else "less"
    except sockets.Failed as error:
        if "memory" not in str(error):
            raise
        return "more"


def look_for_room(models: Models, occupant: occupy.Occupant) -> int:
    """So many MB that the largest has room, and nothing beside it."""
    least, most = LEAST_MB, MOST_MB
    for _ in range(TRIES):
        mb = int((least * most) ** 0.5)
        verdict = all_leave(models, occupant, mb)
        if verdict == "yes":
            return mb
        least, most = (mb, most) if verdict == "more" else (least, mb)
    raise sockets.Failed(f"no size was found with which each of {','.join(models.names)} leaves: give --left-mb")


def measure(arguments, folder: pathlib.Path) -> dict:
    names = arguments.names.split(",")
    (folder / "models").mkdir()
    for name in sockets.repository(arguments.models, names, folder / "models"):
        with open(folder / "models" / name / "config.pbtxt", "a") as config:
            config.write(EVICTABLE)
    more = ["--model-control-mode", "explicit"]
    server = sockets.Server(arguments.tessera, folder / "models", "auto" if arguments.pretended else arguments.device,
                            folder / "cache", more)
    occupant = None if arguments.pretended else occupy.Occupant(arguments.device.partition(":")[2] or "0")
    try:
        models, mb = Models(server.urls["http"], names), arguments.left_mb
        if occupant and mb is None:
            mb = look_for_room(models, occupant)
        else:
            if occupant:
                occupant.leave(mb)
            models.load()
        found = models.turns(arguments.rounds, lambda each: print(
            f"{each['model']}: {'away' if each['was_away'] else 'there'}, {each['first_ms']:.1f} ms, then {each['then_ms']:.2f} ms",
            flush=True))
    finally:
        if occupant:
            occupant.end()
        server.end()
    return {"left_mb": mb, "requests": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--tessera", default=sockets.beside("tessera"))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--names", default="resnet50,mobilenet_v2,vgg19")
    parser.add_argument("--left-mb", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pretended", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    try:
        with tempfile.TemporaryDirectory(prefix="tessera-evictable-") as temporary:
            result = measure(arguments, pathlib.Path(temporary))
    except (sockets.Failed, occupy.Failed) as error:
        sys.exit(str(error))
    returns = {}
    for name in arguments.names.split(","):
        took = [each["first_ms"] for each in result["requests"] if each["model"] == name and each["was_away"]]
        returns[name] = {"times": len(took), "median_ms": statistics.median(took), "least_ms": min(took),
                         "most_ms": max(took)} if took else {"times": 0}
        print(f"{name}: was away {len(took)} of {arguments.rounds} times" + (
            f"; back with an answer after {statistics.median(took):.0f} ms ({min(took):.0f} to {max(took):.0f})" if took else ""))
    if arguments.json:
        arguments.json.write_text(json.dumps({
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": " ".join(sys.argv), "returns": returns,
            **result}, indent=1) + "\n")
    sys.exit(0 if all(each["times"] == arguments.rounds for each in returns.values()) else 1)


if __name__ == "__main__":
    main()

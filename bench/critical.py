#!/usr/bin/env python3
"""A latency-critical model, one request at a time, beside three greedy ones with batches of eight, as processes of their own
that share the GPU under MPS: its p99 against alone, in turns. Prints one line for each way of sharing and greedy model.

usage: critical.py --models FOLDER [--program FILE] [--device cuda:0] [--critical resnet50] [--greedy mobilenet_v2,vgg19]
                   [--rounds 3] [--seconds 1] [--arms mps] [--json FILE]

Arms: mps, mps-percent (a quarter of the processors each), turns (no MPS: the driver's own). bench/mps.py starts and ends the
daemon; `tessera selftest` measures the same in one process, in slices and as streams.
"""

import argparse
import json
import pathlib
import signal
import sys
import tempfile
import time

import mps

ARMS = ("turns", "mps", "mps-percent")
GREEDY = 3
ROWS = 8  # of a greedy request
WARM = 0.5  # seconds
AHEAD = 0.5  # seconds that the greedy ones begin sooner, and end later
# One request at a time has nothing committed behind it, so the two are the same but for their names.
ALONE, BESIDE = "streams/0", "streams/1"


def options(arguments, batches: int, seconds: float) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(arguments), "batches": str(batches), "seconds": seconds})


def p99(bench: mps.Bench) -> dict:
    """{policy: {median, min, max} in ms}"""
    return {cell["policy"]: cell["tenants"][0]["p99_ms"] for cell in bench.result()["cells"]}


def measure(arguments, greedy: str, folder: pathlib.Path, env: dict) -> dict:
    benches = []
    try:
        def start(model: str, batches: int, seconds: float, policies: list, more: list) -> mps.Bench:
            benches.append(mps.Bench(options(arguments, batches, seconds), [model], policies, folder / f"{len(benches)}.json", env,
                                     True, ["--warm-seconds", str(WARM), *more]))
            return benches[-1]

        critical = start(arguments.critical, 1, arguments.seconds, [ALONE, BESIDE], ["--outstanding", "1", "--lanes", "1"])
        others = [start(greedy, ROWS, arguments.seconds + 2 * AHEAD, ["streams"], []) for _ in range(GREEDY)]
        for bench in others:  # all are there while the critical one is measured alone, and idle
            bench.wait_until_ready()
        for number in range(arguments.rounds):
            critical.wait_until_ready()
            critical.begin()
            critical.wait_until_ready()
            for bench in others:
                bench.begin()
            time.sleep(AHEAD)
            critical.begin()
            if number + 1 < arguments.rounds:
                for bench in others:
                    bench.wait_until_ready()
        found = p99(critical)
        greedy_per_s = [bench.result()["cells"][0]["tenants"][0]["images_per_s"]["median"] for bench in others]
    finally:
        for bench in benches:
            bench.end()
    return {"alone_p99_ms": found[ALONE], "beside_p99_ms": found[BESIDE], "greedy_images_per_s": greedy_per_s,
            "ratio": found[BESIDE]["median"] / found[ALONE]["median"]}


def run_arm(arguments, arm: str, folder: pathlib.Path) -> dict:
    folder.mkdir()
    if arm == "turns":
        # Without a daemon that answers, whatever this environment says.
        env, daemon = {"CUDA_MPS_PIPE_DIRECTORY": str(folder)}, None
    else:
        daemon = mps.Daemon(folder / "mps")
        env = {**daemon.env, "CUDA_DEVICE_MAX_CONNECTIONS": str(arguments.connections)}
        if arm == "mps-percent":
            env["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] = str(100 // (GREEDY + 1))
    try:
        return {greedy: measure(arguments, greedy, folder, env) for greedy in arguments.greedy.split(",")}
    except mps.Failed as error:
        raise mps.Failed(str(error) + (daemon.words() if daemon else "")) from error
    finally:
        if daemon:
            daemon.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    here = pathlib.Path(__file__).resolve().parent
    beside = [here.parent / folder / "bench_gpu_sharing" for folder in ("bin", "build/bin")]
    parser.add_argument("--models", required=True)
    parser.add_argument("--program", default=str(next((file for file in beside if file.exists()), beside[0])))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--critical", default="resnet50")
    parser.add_argument("--greedy", default="mobilenet_v2,vgg19")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--arms", default="mps")
    parser.add_argument("--connections", type=int, default=8, help="CUDA_DEVICE_MAX_CONNECTIONS of a client of MPS")
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    wanted = arguments.arms.split(",")
    if unknown := [arm for arm in wanted if arm not in ARMS]:
        parser.error(f"no such arm: {', '.join(unknown)}; there are {', '.join(ARMS)}")
    arms, failed = {}, {}
    with tempfile.TemporaryDirectory(prefix="tessera-critical-") as temporary:
        for arm in wanted:
            print(f"{arm} ...", file=sys.stderr, flush=True)
            try:
                arms[arm] = run_arm(arguments, arm, pathlib.Path(temporary) / arm)
            except mps.Failed as error:
                failed[arm] = str(error)
                print(f"{arm}: {error}", file=sys.stderr, flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps({
                    "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": " ".join(sys.argv),
                    "critical": arguments.critical, "rounds": arguments.rounds, "connections": arguments.connections,
                    "arms": arms, "failed": failed}, indent=1) + "\n")
    for arm, mixes in arms.items():
        for greedy, found in mixes.items():
            alone, with_others = found["alone_p99_ms"], found["beside_p99_ms"]
            print(f"{arm}: {arguments.critical} beside {GREEDY} x {greedy}: p99 {with_others['median']:.3f} ms "
                  f"({with_others['min']:.3f} to {with_others['max']:.3f}), alone {alone['median']:.3f} ms "
                  f"({alone['min']:.3f} to {alone['max']:.3f}): {found['ratio']:.2f}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

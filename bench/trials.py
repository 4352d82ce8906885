"""`tessera load --trials`: processes that have their models loaded and run what they are asked to, at the same time."""

import json
import math
import os
import subprocess
import tempfile
import threading

PATIENCE = 300  # seconds, for a process to be ready
ATTAINED = 0.99


class Failed(Exception):
    pass


class Process:
    """One of them. `words`: all behind `tessera load --trials`."""

    def __init__(self, program: str, words: list, env: dict):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([str(program), "load", "--trials", *map(str, words)], env={**os.environ, **env}, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)

    def line(self, patience: float) -> str:
        # What does not answer is ended, which ends the wait.
        alarm = threading.Timer(patience, self.process.kill)
        alarm.start()
        try:
            line = self.process.stdout.readline()
        finally:
            alarm.cancel()
        if not line:
            self.process.wait()
            raise Failed(self.why())
        return line

    def wait_until_ready(self) -> None:
        if self.line(PATIENCE).strip() != "ready":
            raise Failed(self.why())

    def ask(self, words: str) -> None:
        try:
            self.process.stdin.write(words + "\n")
            self.process.stdin.flush()
        except OSError as error:
            raise Failed(self.why()) from error

    def answer(self, expected: float) -> dict:
        return json.loads(self.line(expected + 60))

    def why(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return lines[-1] if lines else f"it ended with status {self.process.poll()} and without a word"

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.stdin.close()  # then it ends by itself
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def useful_flops(tenants: list, seconds: float, flops: dict):
    """A second, of what was answered within its objective, by the floating-point operations of a row of each model; None where one is
    not known."""
    if seconds <= 0 or any(tenant["model_of"] not in flops for tenant in tenants):
        return None
    return sum(tenant["met"] * flops[tenant["model_of"]] for tenant in tenants) / seconds


def wilson(met: int, offered: int, z: float = 1.96) -> list:
    """The score interval of a share, 95 % sure."""
    if offered == 0:
        return [0.0, 1.0]
    share, scale = met / offered, 1 + z * z / offered
    half = z * math.sqrt(share * (1 - share) / offered + z * z / (4 * offered * offered))
    return [max(0.0, (share + z * z / (2 * offered) - half) / scale), min(1.0, (share + z * z / (2 * offered) + half) / scale)]


def pooled(names: list, models: list, rate: float, runs: list, flops: dict) -> dict:
    """Of runs of tenants of such names and models, each a list of what its processes said."""
    first = [tenant for answer in runs[0] for tenant in answer["tenants"]]
    seconds = sum(answers[0]["seconds"] for answers in runs)
    tenants = []
    for place, tenant in enumerate(first):
        same = [[each for answer in answers for each in answer["tenants"]][place] for answers in runs]
        sums = {key: sum(each[key] for each in same) for key in ("offered", "answered", "rejected", "failed", "met")}
        tenants.append({"name": names[place], "model_of": models[place], "rate": tenant["rate"], "slo_ms": tenant["slo_ms"], **sums,
                        "p50_ms": max(each["p50_ms"] for each in same), "p99_ms": max(each["p99_ms"] for each in same),
                        "attainment": sums["met"] / sums["offered"] if sums["offered"] else 1.0,
                        "attainment_95": wilson(sums["met"], sums["offered"])})
    every = [answer for answers in runs for answer in answers]
    worst = min(tenants, key=lambda tenant: tenant["attainment"])
    why = next((answer["invalid_because"] for answer in every if answer["invalid_because"]), None)
    return {"rate": rate, "passed": worst["attainment"] >= ATTAINED, "worst_attainment": worst["attainment"],
            "worst_attainment_95": worst["attainment_95"], "goodput": sum(tenant["met"] for tenant in tenants) / seconds, "seeds": len(runs),
            "seconds": seconds, "invalid_because": why, "lateness": latest([answer["lateness"] for answer in every]),
            "busy": busy(runs), "useful_flops": useful_flops(tenants, seconds, flops), "tenants": tenants}


def latest(each: list) -> dict:
    """The worst of the processes, quantile by quantile."""
    return {key: max(one[key] for one in each) for key in ("p50_ms", "p99_ms", "worst_ms")} | {
        "limit_of_p99_ms": min(one["limit_of_p99_ms"] for one in each)}


def busy(runs: list):
    """The share of its atoms that each process kept busy, and their sum: processes that may have the same processors may add up to more than 1."""
    each = [[answers[place]["busy"] for answers in runs] for place in range(len(runs[0]))]
    if any(one is None for process in each for one in process):
        return None
    shares = [sum(one["atom_seconds"] for one in process) / sum(one["seconds"] * one["atoms"] for one in process) for process in each]
    return {"shares": shares, "sum": sum(shares)}

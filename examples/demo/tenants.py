"""The demo's tenants: who asks for what, how it is measured, and the open-loop run.

Latencies count from the moment a request was due, not from when the client got round to sending it, so a client that
falls behind cannot hide a slow server.
"""

import math
import queue
import random
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient

CLIENT_TIMEOUT_S = 30


@dataclass
class Tenant:
    name: str
    model: str
    protocol: str  # "http" or "grpc"
    input_name: str
    inputs: list   # arrays to send in turn
    alone_s: float = 0.0
    slo_s: float = 0.0
    rate: float = 0.0
    offered: int = 0
    latencies: list = field(default_factory=list)  # of answers, from when they were due
    refused: int = 0
    errors: list = field(default_factory=list)

    @property
    def missed(self):
        return self.refused + len(self.errors) + sum(latency > self.slo_s for latency in self.latencies)

    @property
    def attainment(self):
        return 1 - self.missed / self.offered if self.offered else 0.0


class Caller:
    """One connection of one tenant; used by one thread."""

    def __init__(self, tenant, server):
        library = httpclient if tenant.protocol == "http" else grpcclient
        if tenant.protocol == "http":
            self._client = httpclient.InferenceServerClient(server.http, network_timeout=CLIENT_TIMEOUT_S,
                                                            connection_timeout=CLIENT_TIMEOUT_S)
        else:
            self._client = grpcclient.InferenceServerClient(server.grpc)
        self._model = tenant.model
        self._prepared = []
        for array in tenant.inputs:
            tensor = library.InferInput(tenant.input_name, list(array.shape), "FP32")
            tensor.set_data_from_numpy(array)
            self._prepared.append([tensor])

    def call(self, index):
        """Seconds that the call took. Raises InferenceServerException."""
        begin = time.perf_counter()
        self._client.infer(self._model, self._prepared[index % len(self._prepared)])
        return time.perf_counter() - begin

    def close(self):
        self._client.close()


def infer(server, model, input_name, array, outputs):
    """One call over HTTP; the outputs as arrays."""
    client = httpclient.InferenceServerClient(server.http, network_timeout=CLIENT_TIMEOUT_S)
    try:
        tensor = httpclient.InferInput(input_name, list(array.shape), "FP32")
        tensor.set_data_from_numpy(array)
        result = client.infer(model, [tensor])
        return [result.as_numpy(name) for name in outputs]
    finally:
        client.close()


def latency_alone(tenant, server, seconds=2.0):
    """Median of calls one after the other, while nothing else runs."""
    caller = Caller(tenant, server)
    try:
        for index in range(len(tenant.inputs)):
            caller.call(index)
        times, until = [], time.perf_counter() + seconds
        while time.perf_counter() < until or len(times) < 5:
            times.append(caller.call(len(times)))
        return float(np.median(times))
    finally:
        caller.close()


def mix_capacity(tenants, server, seconds, workers_per_tenant=2):
    """Answers a second of each tenant when the server is never idle and every tenant gets the same share of work.

    Workers of all tenants call in closed loop; a tenant that is ahead of the others, counted in calls times cost, waits.
    """
    done = {tenant.name: 0 for tenant in tenants}
    begun = {tenant.name: 0 for tenant in tenants}
    lock = threading.Condition()
    end = time.perf_counter() + seconds

    def work(tenant):
        caller = Caller(tenant, server)
        try:
            while True:
                with lock:
                    ahead = lambda: min(begun[o.name] * o.alone_s for o in tenants) + max(  # noqa: E731
                        o.alone_s for o in tenants) < begun[tenant.name] * tenant.alone_s
                    while ahead() and time.perf_counter() < end:
                        lock.wait(0.05)
                    if time.perf_counter() >= end:
                        return
                    begun[tenant.name] += 1
                    index = begun[tenant.name]
                    lock.notify_all()
                caller.call(index)
                with lock:
                    if time.perf_counter() < end:
                        done[tenant.name] += 1
        finally:
            caller.close()

    _run_all([threading.Thread(target=work, args=(tenant,)) for tenant in tenants for _ in range(workers_per_tenant)])
    work_per_second = sum(done[tenant.name] * tenant.alone_s for tenant in tenants) / seconds
    return {tenant.name: work_per_second / len(tenants) / tenant.alone_s for tenant in tenants}


def _run_all(threads):
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def callers_of(tenant):
    """So many that a request hardly ever waits for a caller: the server orders only what it has. Twice what comes within
    one objective."""
    return min(64, max(8, math.ceil(2 * tenant.rate * tenant.slo_s)))


def play(tenants, server, wanted, limit_s, seed, progress):
    """Poisson arrivals for every tenant at its rate until each was offered `wanted` requests or `limit_s` has passed.

    `progress(seconds, tenants)` is called about twice a second. Returns how long requests were offered.
    """
    stop = threading.Event()
    begin = time.perf_counter() + 0.5
    threads, clocks = [], []
    for number, tenant in enumerate(tenants):
        due = queue.Queue()
        clock = threading.Thread(target=_offer, args=(tenant, due, random.Random(seed + number), begin, limit_s, stop,
                                                      callers_of(tenant)))
        clocks.append(clock)
        threads += [threading.Thread(target=_answer, args=(tenant, server, due)) for _ in range(callers_of(tenant))]
    for thread in threads + clocks:
        thread.start()
    while any(clock.is_alive() for clock in clocks):
        time.sleep(0.5)
        progress(max(0.0, time.perf_counter() - begin), tenants)
        if all(tenant.offered >= wanted for tenant in tenants):
            stop.set()
    offered_for = time.perf_counter() - begin
    for thread in threads:
        thread.join()
    return offered_for


def _offer(tenant, due, rng, begin, limit_s, stop, callers):
    at = begin
    while True:
        at += rng.expovariate(tenant.rate)
        # Waits in steps, so that the end of the run is noticed by a tenant with a low rate too.
        while not stop.is_set() and time.perf_counter() < at and time.perf_counter() - begin < limit_s:
            time.sleep(min(0.1, max(0.0, at - time.perf_counter())))
        if stop.is_set() or time.perf_counter() - begin >= limit_s:
            break
        tenant.offered += 1
        due.put((at, tenant.offered))
    for _ in range(callers):
        due.put(None)


def _answer(tenant, server, due):
    caller = Caller(tenant, server)
    try:
        while (item := due.get()) is not None:
            at, index = item
            try:
                caller.call(index)
                tenant.latencies.append(time.perf_counter() - at)
            except Exception as error:  # noqa: BLE001: whatever a client library raises is an answer that was missed
                status = str(getattr(error, "status", lambda: "")())
                if status in ("503", "StatusCode.UNAVAILABLE"):
                    tenant.refused += 1
                else:
                    tenant.errors.append(str(error))
    finally:
        caller.close()

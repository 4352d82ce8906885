"""Work that lasts as long as a test wants, on models made by small_models.busy()."""

import threading
import time

import numpy as np

from clients import Client, InferenceServerException


def trips_per_second(client):
    """Where nothing disturbs: of one that something did, runs would be shorter than they are meant to be."""
    client.infer("busy", {"TRIPS": np.array([50], np.int64)})
    shortest = float("inf")
    for _ in range(5):
        begin = time.perf_counter()
        client.infer("busy", {"TRIPS": np.array([500], np.int64)})
        shortest = min(shortest, time.perf_counter() - begin)
    return 500 / shortest


def trips_for(server, seconds):
    with Client(server, "grpc") as client:
        return int(trips_per_second(client) * seconds)


class Hog:
    """Keeps every core busy with runs of `trips` each until the block ends."""

    def __init__(self, server, trips, threads=4):
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(server, trips)) for _ in range(threads)]

    def _work(self, server, trips):
        with Client(server, "grpc") as client:
            while not self._stop.is_set():
                try:
                    client.infer("busy", {"TRIPS": np.array([trips], np.int64)})
                except InferenceServerException:
                    time.sleep(0.01)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        time.sleep(0.5)
        return self

    def end_soon(self):
        """No further run begins."""
        self._stop.set()

    def __exit__(self, *_):
        self.end_soon()
        for thread in self._threads:
            thread.join()


class LongRun:
    """One inference of about `seconds`, which the server has when the constructor returns."""

    def __init__(self, server, seconds):
        trips = trips_for(server, seconds)
        self._outcome = None
        self._thread = threading.Thread(target=self._work, args=(server, trips))
        self._thread.start()
        until = time.monotonic() + 10
        while server.metric("tessera_grpc_inferences") < 1:
            assert time.monotonic() < until, "the run did not reach the server"
            time.sleep(0.02)

    def _work(self, server, trips):
        with Client(server, "grpc") as client:
            try:
                self._outcome = client.infer("busy", {"TRIPS": np.array([trips], np.int64)})
            except InferenceServerException as error:
                self._outcome = error

    def answered(self):
        """Waits for the end; whether it was an answer. What it says is lost in so many multiplications."""
        self._thread.join()
        return isinstance(self._outcome, dict)

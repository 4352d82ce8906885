#!/usr/bin/env python3
"""Takes a card's memory but for so many MB, through the driver alone, until standard input ends.

usage: occupy.py [NUMBER]   the card's (0)

Every line of standard input is a number: so many MB are left from then on. What is left, in bytes, stands on standard
output after each.
"""

import ctypes
import pathlib
import subprocess
import sys

LARGEST, SMALLEST = 1 << 30, 2 << 20  # bytes of one allocation


class Failed(Exception):
    pass


class Occupant:
    """This program as a process of its own. Owned by one thread."""

    def __init__(self, card: str):
        self.process = subprocess.Popen([sys.executable, str(pathlib.Path(__file__).resolve()), card], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def leave(self, mb: int) -> int:
        """Bytes that are left."""
        try:
            self.process.stdin.write(f"{mb}\n")
            self.process.stdin.flush()
        except OSError:
            pass  # its end is what is told
        line = self.process.stdout.readline()
        if not line:
            raise Failed("the card's memory could not be taken: is there a driver?")
        return int(line)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except OSError:
                pass


class Card:
    def __init__(self, number: int):
        self.cuda, self.kept = ctypes.CDLL("libcuda.so.1"), []
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self.must("cuInit", 0)
        self.must("cuDeviceGet", ctypes.byref(device), number)
        self.must("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.must("cuCtxSetCurrent", context)

    def must(self, name: str, *arguments) -> None:
        if result := getattr(self.cuda, name)(*arguments):
            sys.exit(f"occupy: {name} failed with {result}")

    def free(self) -> int:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.must("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value

    def leave(self, left: int) -> None:
        for each in self.kept:
            self.must("cuMemFree_v2", each)
        self.kept = []
        size = LARGEST
        while size >= SMALLEST:
            address = ctypes.c_uint64()
            room = self.free() - size >= left
            if room and not self.cuda.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(size)):
                self.kept.append(address)
            else:
                size //= 2


def main() -> None:
    card = Card(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    for line in sys.stdin:
        card.leave(int(line) << 20)
        print(card.free(), flush=True)


if __name__ == "__main__":
    main()

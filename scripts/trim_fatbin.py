#!/usr/bin/env python3
"""Keeps the CUDA code of one architecture in a library, and zeroes all other, so that the library packs well.

usage: trim_fatbin.py LIBRARY TRIMMED SM      (SM: 90 for Hopper, 86 for some Ampere)

Sizes and places stay as they are; only bytes of device code change. Of each set of kernels the code for SM stays, or
where there is none the newest that such a card also runs: that of its own generation. Ends with 1, and writes nothing,
where the library holds no such code at all.
"""

import mmap
import os
import shutil
import struct
import sys
from typing import Iterator, NamedTuple

SECTION = b".nv_fatbin"

# A section holds containers, each for one set of kernels; a container holds images, each for one architecture.
CONTAINER = struct.Struct("<IHHQ")  # magic, version, bytes of this header, bytes of images behind it
CONTAINER_MAGIC = 0xBA55ED50
ALIGNMENT = 8  # of containers; between two there may be padding
IMAGE = struct.Struct("<HHIQ12xI")  # kind, version, bytes of this header, bytes of code behind it, ..., architecture
MACHINE_CODE = 2  # the other kind is PTX

SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")


class Image(NamedTuple):
    kind: int
    sm: int
    begin: int  # of its code in the file
    size: int


class NotUnderstood(Exception):
    """The file is not what it should be."""


def section_of(file) -> tuple[int, int]:
    """Begin and end of the section that holds the device code."""
    if file[:6] != b"\x7fELF\x02\x01":
        raise NotUnderstood("no 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", file, 0x28)
    size, count, names_at = struct.unpack_from("<HHH", file, 0x3A)
    headers = [SECTION_HEADER.unpack_from(file, table + i * size) for i in range(count)]
    names = headers[names_at][4]
    for name, _, _, _, offset, length, *_ in headers:
        if file[names + name:names + name + len(SECTION) + 1] == SECTION + b"\0":
            return offset, offset + length
    raise NotUnderstood("no device code in it")


def containers(file, begin: int, end: int) -> Iterator[list[Image]]:
    at = begin
    while at + CONTAINER.size <= end:
        magic, _, header, size = CONTAINER.unpack_from(file, at)
        if magic != CONTAINER_MAGIC:
            at += ALIGNMENT
            continue
        at += header
        if at + size > end:
            raise NotUnderstood("device code beyond its section")
        yield list(images(file, at, at + size))
        at += size


def images(file, at: int, end: int) -> Iterator[Image]:
    while at < end:
        kind, _, header, size, sm = IMAGE.unpack_from(file, at)
        if header < IMAGE.size or at + header + size > end:
            raise NotUnderstood("an image beyond its container")
        yield Image(kind, sm, at + header, size)
        at += header + size


def kept_of(container: list[Image], sm: int) -> int:
    """The architecture whose machine code stays; 0 for none."""
    runs = [each.sm for each in container if each.kind == MACHINE_CODE and each.sm // 10 == sm // 10 and each.sm <= sm]
    return max(runs, default=0)


def trim(file, sm: int) -> tuple[int, int]:
    """Zeroes in place; how many bytes of device code are kept and how many there were."""
    kept = total = 0
    for container in containers(file, *section_of(file)):
        wanted = kept_of(container, sm)
        for image in container:
            total += image.size
            if image.kind == MACHINE_CODE and image.sm == wanted:
                kept += image.size
            else:
                file[image.begin:image.begin + image.size] = bytes(image.size)
    return kept, total


def main() -> int:
    if len(sys.argv) != 4 or not sys.argv[3].isdigit():
        sys.exit(__doc__)
    library, trimmed, sm = sys.argv[1], sys.argv[2], int(sys.argv[3])
    part = trimmed + ".part"
    shutil.copyfile(library, part)
    try:
        with open(part, "r+b") as opened, mmap.mmap(opened.fileno(), 0) as file:
            kept, total = trim(file, sm)
        if kept == 0:
            raise NotUnderstood(f"no code for architecture {sm} in it")
    except NotUnderstood as error:
        os.remove(part)
        print(f"{library}: {error}", file=sys.stderr)
        return 1
    shutil.copymode(library, part)
    os.replace(part, trimmed)
    print(f"{os.path.basename(trimmed)}: {kept / 1e6:.1f} of {total / 1e6:.1f} MB of device code kept, for sm_{sm}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

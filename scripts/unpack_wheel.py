#!/usr/bin/env python3
"""Takes files out of a Python wheel without installing it.

usage: unpack_wheel.py WHEEL FOLDER PATTERN[=NAME]...

Each PATTERN (as for fnmatch, matched against the path inside the wheel) must match at least one file; the file goes to
FOLDER under its own base name, or under NAME.
"""

import fnmatch
import os
import sys
import zipfile


def main() -> int:
    wheel, folder, patterns = sys.argv[1], sys.argv[2], sys.argv[3:]
    os.makedirs(folder, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for entry in patterns:
            pattern, _, name = entry.partition("=")
            found = [item for item in archive.infolist() if fnmatch.fnmatch(item.filename, pattern)]
            if not found:
                print(f"{os.path.basename(wheel)} holds no {pattern}", file=sys.stderr)
                return 1
            for item in found:
                target = os.path.join(folder, name or os.path.basename(item.filename))
                with open(target + ".part", "wb") as file:
                    file.write(archive.read(item))
                mode = item.external_attr >> 16 & 0o777
                os.chmod(target + ".part", mode if mode else 0o644)
                os.replace(target + ".part", target)
    return 0


if __name__ == "__main__":
    sys.exit(main())

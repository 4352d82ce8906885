#!/usr/bin/env python3
"""Prints "PASSED FAILED SKIPPED" from what ctest --output-junit wrote, then the name of each test that failed, a line each.

usage: count_tests.py CTEST_XML FOLDER

A test e2e.NAME of ctest is a whole file of pytest cases; they are counted one by one from FOLDER/NAME.xml.
"""

import os
import sys
import xml.etree.ElementTree as tree


def ctest_verdict(case) -> str:
    if case.get("status") == "run":
        return "passed"
    reason = case.find("skipped")
    if case.get("status") == "disabled" or (reason is not None and reason.get("message", "").startswith("SKIP_")):
        return "skipped"
    return "failed"  # it failed, ran out of time, or could not be started


def pytest_verdict(case) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    return "skipped" if case.find("skipped") is not None else "passed"


def main() -> int:
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failures = []
    for case in tree.parse(sys.argv[1]).getroot().iter("testcase"):
        verdict = ctest_verdict(case)
        details = os.path.join(sys.argv[2], case.get("name").removeprefix("e2e.") + ".xml")
        verdicts = [(case.get("name"), verdict)]
        if case.get("name").startswith("e2e.") and os.path.exists(details):
            cases = tree.parse(details).getroot().iter("testcase")
            verdicts = [(f"{case.get('name')}: {each.get('name')}", pytest_verdict(each)) for each in cases]
            if verdict == "failed" and "failed" not in [each for _, each in verdicts]:
                verdicts.append((case.get("name"), "failed"))
        for name, each in verdicts:
            counts[each] += 1
            if each == "failed":
                failures.append(name)
    print(counts["passed"], counts["failed"], counts["skipped"])
    for name in failures:
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())

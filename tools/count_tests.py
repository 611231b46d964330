#!/usr/bin/python3
"""Adds up JUnit results. usage: tools/count_tests.py FOLDER FAILED_PARTS     prints: passed skipped failed

A gtest program is one test to ctest: its own cases are counted from its output. A part of ./test that failed without a
failed test (a build, a download) counts as one.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as ET


def count_case(case):
    """(passed, skipped, failed) of one <testcase>."""
    if case.find("failure") is not None or case.find("error") is not None:
        return 0, 0, 1
    if case.find("skipped") is not None:
        return 0, 1, 0
    output = case.findtext("system-out") or ""
    inner = re.search(r"^\[  PASSED  \] (\d+) tests?\.", output, re.M)
    return (int(inner.group(1)) if inner else 1), 0, 0


def main():
    folder, failed_parts = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    passed = skipped = failed = 0
    for path in folder.glob("*.xml"):
        for case in ET.parse(path).iter("testcase"):
            p, s, f = count_case(case)
            passed, skipped, failed = passed + p, skipped + s, failed + f
    print(passed, skipped, max(failed, failed_parts))


if __name__ == "__main__":
    main()

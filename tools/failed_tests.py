#!/usr/bin/python3
"""Names what failed, for the end of a long output. usage: tools/failed_tests.py FOLDER [FAILED_PART...]

Reads the JUnit results in FOLDER and prints one line a failed test, at most 30: `unit PROGRAM Suite.Case` or a pytest id, with
the first line of its error. A gtest program is one test to ctest: its cases are found in its output. A part of ./test that
failed without a failed test (a build, a hang) has a line of its own.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as ET

LINES_MAX = 30
ERROR_MAX = 200


def first_line(text):
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return (lines[0] if lines else "no message")[:ERROR_MAX]


def error_of_case(lines):
    """What a gtest case says first: gtest's place and the line below it; else its first words."""
    for at, line in enumerate(lines):
        if re.search(r": Failure$", line):
            place = line.removesuffix(": Failure").rsplit("/", 1)[-1]
            return first_line(" ".join([place + ":", *(more.strip() for more in lines[at + 1 : at + 4])]))
    return first_line("\n".join(lines))


def unit_failures(name, output, message):
    """The failed cases of one unit program; a program that crashed names the case that ran, if any."""
    cases, running, said = [], None, []
    for line in output.splitlines():
        mark = re.match(r"\[ +(RUN|OK|FAILED|SKIPPED) +\] (\S+?),?( |$)", line)
        if mark and mark.group(1) == "RUN":
            running, said = mark.group(2), []
        elif mark and running == mark.group(2):
            if mark.group(1) == "FAILED":
                cases.append((running, error_of_case(said)))
            running = None
        elif running:
            said.append(line)
    if running:
        cases.append((running, f"ended the program: {error_of_case(said) if said else message}"[:ERROR_MAX]))
    if not cases:
        cases.append(("", first_line(output) if output.strip() else first_line(message)))
    return [f"unit {name} {case}: {error}".replace(" :", ":") for case, error in cases]


def failures(folder):
    found = []
    for path in sorted(pathlib.Path(folder).glob("*.xml")):
        for case in ET.parse(path).iter("testcase"):
            problem = case.find("failure")
            problem = case.find("error") if problem is None else problem
            if problem is None:
                continue
            message = problem.get("message") or problem.text or ""
            if path.name == "unit.xml":
                found += unit_failures(case.get("name"), case.findtext("system-out") or "", message)
            else:
                names = (case.get("classname") or "").split(".")
                module = "/".join(name for name in names if name[:1].islower())
                classes = "".join(f"{name}::" for name in names if not name[:1].islower())
                found.append(f"tests/{module}.py::{classes}{case.get('name')}: {first_line(message)}")
    return found


def silent_parts(parts, found):
    """Lines for the parts that no failed test explains."""
    told = [part for part in parts if any(line.startswith((f"{part} ", f"tests/{part}/")) for line in found)]
    return [f"{part}: no test of it failed; it did not end well itself (see above)" for part in parts if part not in told]


def main():
    found = failures(sys.argv[1])
    found = silent_parts(sys.argv[2:], found) + found
    for line in found[:LINES_MAX]:
        print("   " + line)
    if len(found) > LINES_MAX:
        print(f"   and {len(found) - LINES_MAX} more")


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""What ./test says at its end about results that failed."""

import pathlib
import tempfile
import unittest
from xml.sax.saxutils import escape

import failed_tests

OUTPUT = """[==========] Running 3 tests from 1 test suite.
[ RUN      ] Ring.Holds
[       OK ] Ring.Holds (0 ms)
[ RUN      ] Ring.Turns
/somewhere/src/base/ring_test.cc:12: Failure
Expected equality of these values:
  turns
    Which is: 3
[  FAILED  ] Ring.Turns (1 ms)
[ RUN      ] Each/Ring.Ends/mysql
CHECK failed: open
"""


def results(**files):
    folder = pathlib.Path(tempfile.mkdtemp())
    for name, cases in files.items():
        (folder / f"{name}.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    return folder


class FailedTests(unittest.TestCase):
    def test_cases_of_a_unit_program_are_named(self):
        found = failed_tests.failures(
            results(unit=f'<testcase name="base"><failure message=""/><system-out>{escape(OUTPUT)}</system-out></testcase>'
                    '<testcase name="io"><system-out>fine</system-out></testcase>'
                    '<testcase name="lint"><failure message=""/><system-out>src/a.cc:3: sleep\nmore</system-out></testcase>'))
        self.assertEqual(found, [
            "unit base Ring.Turns: ring_test.cc:12: Expected equality of these values: turns Which is: 3",
            "unit base Each/Ring.Ends/mysql: ended the program: CHECK failed: open",
            "unit lint: src/a.cc:3: sleep"])

    def test_pytest_ids_with_the_first_line_of_the_error(self):
        found = failed_tests.failures(
            results(e2e='<testcase classname="e2e.test_up" name="test_it[mysql]"><failure message="Broken: a&#10;b"/></testcase>'
                    '<testcase classname="e2e.test_up.TestOne" name="test_it"><error message="' + "x" * 500 + '"/></testcase>'
                    '<testcase classname="e2e.test_up" name="test_fine"/>'))
        self.assertEqual(found, ["tests/e2e/test_up.py::test_it[mysql]: Broken: a",
                                 "tests/e2e/test_up.py::TestOne::test_it: " + "x" * 200])

    def test_a_part_without_results_is_named(self):
        found = ["tests/e2e/test_up.py::test_it: Broken", "unit base Ring.Turns: x"]
        self.assertEqual(failed_tests.silent_parts(["unit", "build", "e2e"], found),
                         ["build: no test of it failed; it did not end well itself (see above)"])


if __name__ == "__main__":
    unittest.main()

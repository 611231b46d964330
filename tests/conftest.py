"""Shared by every test of whole processes."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))


def pytest_configure(config):
    config.addinivalue_line("markers", "long: runs only in ./test --all")

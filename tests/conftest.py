"""Shared by every test of whole processes."""


def pytest_configure(config):
    config.addinivalue_line("markers", "long: runs only in ./test --all")

"""Generated sequences of session state (fuzz.py), and those that once failed."""

import os

import pytest

import fuzz

SEQUENCES = int(os.environ.get("PACELINE_FUZZ_SEQUENCES", "2000"))  # of each flavor
FIRST = int(os.environ.get("PACELINE_FUZZ_SEED", "1"))


@pytest.mark.parametrize("path", sorted(fuzz.FOUND.glob("*.txt")), ids=str)
def test_kept_sequence(twins, path):
    if not path.name.startswith(twins.flavor):
        pytest.skip("found on the other flavor")
    why = fuzz.Fuzzer(twins).run(fuzz.load(path))
    assert not why, why


# What is still found: docs/verification.md.
@pytest.mark.long
def test_generated_sequences(twins):
    failures = fuzz.search(twins, range(FIRST, FIRST + SEQUENCES))
    assert not failures, "\n\n".join(failures)


@pytest.mark.long
def test_many_generated_sequences(twins):
    failures = fuzz.search(twins, range(1_000_000, 1_100_000))
    assert not failures, "\n\n".join(failures)

"""The checker rejects what no correct database answers, and accepts what one does."""

import random

import pytest
from history import FAILED, OK, UNKNOWN, Transaction, check


def append(key, number):
    return ("append", key, number)


def read(key, *numbers):
    return ("read", key, list(numbers))


def done(began, ended, *operations, outcome=OK):
    return Transaction(list(operations), outcome, began, ended)


def verdict(final, *history):
    return check(list(history), final)


CLEAN = {
    "one after the other": ({"x": [1, 2]}, done(0, 1, append("x", 1)), done(2, 3, read("x", 1), append("x", 2))),
    "at the same time, either order": ({"x": [2, 1]}, done(0, 5, append("x", 1)), done(0, 5, append("x", 2)), done(0, 5, read("x", 2))),
    "unknown, and it happened": ({"x": [1]}, done(0, 1, append("x", 1), outcome=UNKNOWN), done(2, 3, read("x", 1))),
    "unknown, and it did not": ({"x": []}, done(0, 1, append("x", 1), outcome=UNKNOWN), done(2, 3, read("x"))),
    "unknown, late": ({"x": [2, 1]}, done(0, 1, append("x", 1), outcome=UNKNOWN), done(2, 3, append("x", 2)), done(4, 5, read("x", 2))),
    "own appends are seen": ({"x": [1, 2]}, done(0, 1, append("x", 1)), done(2, 3, append("x", 2), read("x", 1, 2))),
    "failed, and not there": ({"x": []}, done(0, 1, append("x", 1), outcome=FAILED), done(2, 3, read("x"))),
}

DIRTY = {
    "lost": ({"x": []}, done(0, 1, append("x", 1))),
    "doubled": ({"x": [1, 1]}, done(0, 1, append("x", 1))),
    "resurrected": ({"x": [1]}, done(0, 1, append("x", 1), outcome=FAILED)),
    "torn": ({"x": [1], "y": []}, done(0, 1, append("x", 1), append("y", 2), outcome=UNKNOWN)),
    "invented": ({"x": [7]}, done(0, 1, read("x"))),
    "internal": ({"x": [1]}, done(0, 1, append("x", 1), read("x"))),
    "G1a": ({"x": [2]}, done(0, 9, append("x", 1), outcome=FAILED), done(0, 9, read("x", 1)), done(0, 9, append("x", 2))),
    "G1b": ({"x": [1, 2]}, done(0, 9, append("x", 1), append("x", 2)), done(0, 9, read("x", 1))),
    "incompatible-order": ({"x": [1, 2]}, done(0, 9, append("x", 1)), done(0, 9, append("x", 2)), done(0, 9, read("x", 2))),
    "G0": ({"x": [1, 2], "y": [4, 3]}, done(0, 9, append("x", 1), append("y", 3)), done(0, 9, append("x", 2), append("y", 4))),
    "G1c": ({"x": [1], "y": [2]}, done(0, 9, append("x", 1), read("y", 2)), done(0, 9, append("y", 2), read("x", 1))),
    "G-single": ({"x": [1], "y": [2]}, done(0, 9, append("x", 1), append("y", 2)), done(0, 9, read("x", 1), read("y"))),
    "G2": ({"x": [1], "y": [2]}, done(0, 9, read("x"), append("y", 2)), done(0, 9, read("y"), append("x", 1))),
    # A second primary that answers reads of the past.
    "G-single-realtime": ({"x": [1]}, done(0, 1, append("x", 1)), done(2, 3, read("x"))),
    "G0-realtime": ({"x": [2, 1]}, done(0, 1, append("x", 1)), done(2, 3, append("x", 2))),
}


@pytest.mark.parametrize("name", CLEAN)
def test_accepts(name):
    assert verdict(*CLEAN[name]).anomalies == []


@pytest.mark.parametrize("name", DIRTY)
def test_rejects(name):
    assert name in verdict(*DIRTY[name]).names()


def simulated(seed, transactions=400):
    """A history of a correct database: each transaction takes effect at one moment between its beginning and its end."""
    dice = random.Random(seed)
    lists, history, number, now = {key: [] for key in "abcd"}, [], 0, 0.0
    for _ in range(transactions):
        now += dice.random()
        outcome = dice.choices((OK, FAILED, UNKNOWN), (90, 5, 5))[0]
        happens = outcome == OK or (outcome == UNKNOWN and dice.random() < 0.5)
        operations, mine = [], {key: list(numbers) for key, numbers in lists.items()}
        for _ in range(dice.randint(1, 4)):
            key = dice.choice("abcd")
            if dice.random() < 0.5:
                number += 1
                mine[key].append(number)
                operations.append(append(key, number))
            else:
                operations.append(read(key, *mine[key]))
        if happens:
            lists = mine
        history.append(Transaction(operations, outcome, now - dice.random() * 3, now + dice.random() * 3))
    return history, lists


@pytest.mark.parametrize("seed", range(10))
def test_a_correct_database_is_clean(seed):
    history, final = simulated(seed)
    assert check(history, final).anomalies == []


@pytest.mark.parametrize("seed", range(10))
def test_one_lost_acknowledgement_in_hundreds_is_found(seed):
    history, final = simulated(seed)
    victim = random.Random(seed).choice([each for each in history if each.outcome == OK and each.appends()])
    key, number = victim.appends()[-1]
    final = {name: [n for n in numbers if (name, n) != (key, number)] for name, numbers in final.items()}
    assert "lost" in check(history, final).names()

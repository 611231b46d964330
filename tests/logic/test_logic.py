"""The statements of *.test beside this file, on a plain mysqld and through vtgate, in every way to run them."""

import pathlib

import pytest

import logic

FILES = sorted(pathlib.Path(__file__).parent.glob("*.test"))


# What has been seen to hold prepared and in a transaction: docs/verification.md.
@pytest.mark.parametrize("mode", [mode if mode == "text" else pytest.param(mode, marks=pytest.mark.long) for mode in logic.MODES])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_same_answers(twins, path, mode):
    count, differences = logic.run_file(path, twins, mode)
    assert count > 0
    assert not differences, f"{len(differences)} of {count} statements differ\n" + "\n".join(differences[:20])

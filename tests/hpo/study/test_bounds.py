"""Bounds typed after --space."""

from typing import Any

import pytest

from hpo.study.bounds import with_bounds
from model.errors import ConfigError

SPACE = {
    "r_frames": {"type": "int", "low": 20, "high": 160, "log": True},
    "alpha2": {"type": "float", "low": 0.5, "high": 50.0, "log": True},
    "K1_positions": {"type": "float", "low": -40.0, "high": -2.0, "when": {"tem_loss": "context-aware"}},
}


@pytest.mark.parametrize(
    ("typed", "name", "expected"),
    [
        ("alpha2=0.5..200", "alpha2", {"type": "float", "low": 0.5, "high": 200, "log": True}),
        ("r=10..160", "r_frames", {"type": "int", "low": 10, "high": 160, "log": True}),
        ("alpha2=5", "alpha2", {"type": "choice", "choices": [5]}),
        ("alpha2=5,.5", "alpha2", {"type": "choice", "choices": [5, 0.5]}),
        ("alpha2=relu, tanh", "alpha2", {"type": "choice", "choices": ["relu", "tanh"]}),
        (
            "K1_positions=-60..-2",
            "K1_positions",
            {"type": "float", "low": -60, "high": -2, "when": {"tem_loss": "context-aware"}},
        ),
    ],
)
def test_typed_bounds_replace_those_of_the_study_file(
    typed: str, name: str, expected: dict[str, Any]
) -> None:
    changed = with_bounds(SPACE, [typed])
    assert changed == {**SPACE, name: expected} and list(changed) == list(SPACE)


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("alpha2", "expected --space NAME=LOW..HIGH such as alpha2=0.5..200, got 'alpha2'"),
        ("gamma=1..2", "the space has no 'gamma'"),
        ("alpha2=low..high", "expected numbers as bounds"),
    ],
)
def test_bounds_that_cannot_be_read_are_refused(typed: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        with_bounds(SPACE, [typed])


def test_choice_takes_no_range() -> None:
    with pytest.raises(ConfigError, match="expected values with commas for a choice"):
        with_bounds({"f": {"type": "choice", "choices": [8, 16]}}, ["f=4..64"])

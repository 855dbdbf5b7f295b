"""Bounds typed after --space."""

from typing import Any

import pytest

from hpo.config.bounds import with_bounds
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
        ("alpha2=low..high", "expected two numbers as bounds, low and high, got 'alpha2=low..high'"),
    ],
)
def test_bounds_that_cannot_be_read_are_refused(typed: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        with_bounds(SPACE, [typed])


def test_choice_takes_no_range() -> None:
    for choices in ([8, 16], ["8", "16"]):
        with pytest.raises(ConfigError, match=r"a choice has no bounds, got 'f=4\.\.64'"):
            with_bounds({"f": {"type": "choice", "choices": choices}}, ["f=4..64"])


@pytest.mark.parametrize(
    ("declared", "typed", "expected"),
    [
        (["1", "2", "a,b"], "k=1,2", ["1", "2"]),
        (["1", "2", "a,b"], "k=a,b, 1", ["a,b", "1"]),
        (["1", "2", "a,b"], "k=2,3", ["2", "3"]),
        (["1..2", "3"], "k=1..2,3", ["1..2", "3"]),
        ([1, "1", "all"], "k=1,all", ["1", "all"]),
        ([8, "all"], "k=8,16,all", [8, 16, "all"]),
    ],
)
def test_typed_choices_that_are_declared_texts_stay_texts(
    declared: list[Any], typed: str, expected: list[Any]
) -> None:
    changed = with_bounds({"k": {"type": "choice", "choices": declared}}, [typed])
    assert changed["k"]["choices"] == expected


def test_values_of_a_table_are_taken_as_they_are() -> None:
    space = {**SPACE, "k": {"type": "choice", "choices": ["1", "a,b", "c"]}}
    changed = with_bounds(space, {"k": ["1", "a,b"], "alpha2": (1, 2.5), "r": 40})
    assert changed["k"]["choices"] == ["1", "a,b"]
    assert (changed["alpha2"]["low"], changed["alpha2"]["high"]) == (1, 2.5)
    assert changed["r_frames"] == {"type": "choice", "choices": [40]}
    for wrong in ((1, 2, 3), ("1", 2), (True, 2)):
        with pytest.raises(ConfigError, match="expected two numbers as bounds, low and high, got"):
            with_bounds(space, {"alpha2": wrong})

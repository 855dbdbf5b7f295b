"""Fixed values, texts and conditions in the space of a study file."""

import tomllib
from typing import Any

import pytest

from hpo.config.study_file import StudyFile, first_points, space_of
from hpo.tasks.base.registry import parse_study
from model.errors import ConfigError


def searched(line: str) -> StudyFile:
    text = f'task = "calf"\n[stages.bayes]\ntrials = 3\n[stages.bayes.space]\n{line}\n'
    return parse_study(tomllib.loads(text), file="mine.toml")


@pytest.mark.parametrize(
    ("line", "point"),
    [
        ("f = 8", {"f": 8}),
        ('matching = "none"', {"matching": "none"}),
        ('matching = { type = "choice", choices = ["none"] }', {"matching": "none"}),
        ('beta = { type = "float", low = 0.5, high = 0.5 }', {"beta": 0.5}),
    ],
)
def test_one_value_is_a_fixed_parameter(line: str, point: dict[str, Any]) -> None:
    space = space_of(searched(line).stages.bayes)
    assert list(space.grid()) == [point]
    again = parse_study(searched(line).model_dump(mode="json"), file="again")
    assert space_of(again.stages.bayes).digest() == space.digest()


def test_choices_of_a_text_are_texts() -> None:
    both = searched('matching = { type = "choice", choices = ["none", "one-to-one"] }')
    assert list(space_of(both.stages.bayes).grid()) == [{"matching": "none"}, {"matching": "one-to-one"}]


@pytest.mark.parametrize(
    ("line", "key", "got"),
    [
        ('matching = { type = "choice", choices = ["all"] }', "matching", "all"),
        ('beta = { type = "choice", choices = [0.5, "half"] }', "beta", "half"),
        ('beta = "half"', "beta", "half"),
    ],
)
def test_text_that_a_hyperparameter_cannot_have_is_refused(line: str, key: str, got: str) -> None:
    with pytest.raises(ConfigError) as refused:
        searched(line)
    assert refused.value.details[f"stages.bayes.space.{key}"].endswith(f'got "{got}"')


CONDITIONAL = """
task = "bmn"
[stages.bayes]
trials = 3
[stages.bayes.space]
tem_loss = { type = "choice", choices = ["bmn", "context-aware"] }
K1_positions = { type = "float", low = -40, high = -2, when = { tem_loss = "context-aware" } }
"""


def test_hyperparameter_may_depend_on_a_choice() -> None:
    conditional = parse_study(tomllib.loads(CONDITIONAL), file="mine.toml")
    space = space_of(conditional.stages.bayes)
    assert space.contains({"tem_loss": "bmn"})
    assert space.contains({"tem_loss": "context-aware", "K1_positions": -9.0})
    again = parse_study(conditional.model_dump(mode="json"), file="again")
    assert space_of(again.stages.bayes).digest() == space.digest()
    assert first_points(conditional, conditional.stages.bayes) == [
        {"tem_loss": "context-aware", "K1_positions": -14.0}
    ]


@pytest.mark.parametrize("when", ['{ tem_loss = "other" }', "{ lambda_tem = 1 }"])
def test_condition_that_names_no_choice_is_refused(when: str) -> None:
    text = CONDITIONAL.replace('{ tem_loss = "context-aware" }', when)
    with pytest.raises(ConfigError) as refused:
        parse_study(tomllib.loads(text), file="mine.toml")
    assert refused.value.details["stages.bayes.space.K1_positions"].startswith("expected under when a choice")


def test_half_of_a_character_is_no_choice() -> None:
    text = {"task": "calf", "stages": {"bayes": {"trials": 3, "space": {"matching": "\ud800"}}}}
    with pytest.raises(ConfigError) as refused:
        parse_study(text, file="mine.toml")
    assert any("text that UTF-8 can hold" in str(fault) for fault in refused.value.details.values())

from collections.abc import Sequence

import pytest

from hpo.spotting.footage import chosen_classes
from model.data.layout.description import builtin_description
from model.errors import ConfigError

GOALS, GOALS_AND_CARDS = ("goal",), ("goal", "card")


def goals_and_cards(classes: Sequence[str]) -> list[str]:
    chosen = chosen_classes({"--classes": (None, GOALS_AND_CARDS)}, classes)
    return [classes[index] for index in chosen["--classes"]]


def test_soccernet_v1_shows_goals_and_cards_and_dismisses_substitutions() -> None:
    assert goals_and_cards(builtin_description("soccernet-v1").classes) == ["goal", "card"]


def test_cards_of_every_colour_are_cards() -> None:
    assert goals_and_cards(builtin_description("soccernet-v2").classes) == [
        "goal",
        "yellow-card",
        "red-card",
        "yellow-red-card",
    ]


def test_last_word_counts() -> None:
    classes = ("Own goal", "goal-kick", "scorecard", "GOAL", "red_card")
    assert goals_and_cards(classes) == ["Own goal", "GOAL", "red_card"]


def test_named_classes_are_taken_as_they_are() -> None:
    choices = {"--sequences": (None, GOALS), "--classes": ("timeout, goal", GOALS_AND_CARDS)}
    chosen = chosen_classes(choices, ("goal", "foul", "timeout"))
    assert chosen == {"--sequences": [0], "--classes": [0, 2]}


@pytest.mark.parametrize(
    ("typed", "words", "options"),
    [
        (None, "goal or card", "--sequences NAME,... and --classes NAME,..."),
        ("basket", "goal or card", "--classes NAME,..."),
    ],
)
def test_other_vocabulary_must_say_what_makes_a_highlight(
    typed: str | None, words: str, options: str
) -> None:
    choices = {"--sequences": (typed, GOALS), "--classes": (None, GOALS_AND_CARDS)}
    with pytest.raises(
        ConfigError, match=f"no class of the network has a name that ends in {words}"
    ) as caught:
        chosen_classes(choices, ("basket", "foul"))
    assert caught.value.details == {
        "classes": "basket, foul",
        "fix": f"add {options} with the classes of a highlight",
    }


@pytest.mark.parametrize(("typed", "unknown"), [("", "''"), ("basket,dunk", "'dunk'")])
def test_unknown_class_is_told_beside_the_known_ones(typed: str, unknown: str) -> None:
    with pytest.raises(ConfigError, match=f"--sequences: the network has no class {unknown}") as caught:
        chosen_classes({"--sequences": (typed, GOALS)}, ("basket", "foul"))
    assert caught.value.details == {"classes": "basket, foul"}

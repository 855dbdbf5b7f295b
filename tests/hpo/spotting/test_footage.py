import pytest

from hpo.spotting.footage import chosen_classes
from model.data.layout.description import builtin_description
from model.errors import ConfigError

GOALS_AND_CARDS = ("goal", "card")


def test_soccernet_v1_shows_goals_and_cards_and_dismisses_substitutions() -> None:
    classes = builtin_description("soccernet-v1").classes
    assert [classes[index] for index in chosen_classes(None, GOALS_AND_CARDS, classes, "--classes")] == [
        "goal",
        "card",
    ]


def test_cards_of_every_colour_are_cards() -> None:
    classes = builtin_description("soccernet-v2").classes
    assert [classes[index] for index in chosen_classes(None, GOALS_AND_CARDS, classes, "--classes")] == [
        "goal",
        "yellow-card",
        "red-card",
        "yellow-red-card",
    ]


def test_last_word_counts() -> None:
    classes = ("Own goal", "goal-kick", "scorecard", "GOAL", "red_card")
    assert chosen_classes(None, GOALS_AND_CARDS, classes, "--classes") == [0, 3, 4]


def test_named_classes_are_taken_as_they_are() -> None:
    assert chosen_classes("timeout, goal", ("goal",), ("goal", "foul", "timeout"), "--classes") == [0, 2]


def test_other_vocabulary_must_say_what_makes_a_highlight() -> None:
    with pytest.raises(
        ConfigError, match="no class of the network has a name that ends in goal or card"
    ) as caught:
        chosen_classes(None, GOALS_AND_CARDS, ("basket", "foul"), "--classes")
    assert caught.value.details == {
        "classes": "basket, foul",
        "fix": "add --classes NAME,... with the classes of a highlight",
    }


def test_typed_list_of_nothing_is_no_default() -> None:
    with pytest.raises(ConfigError, match="--sequences: the network has no class ''"):
        chosen_classes("", ("goal",), ("goal", "foul"), "--sequences")


def test_unknown_class_is_told_beside_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="--sequences: the network has no class 'dunk'") as caught:
        chosen_classes("basket,dunk", ("goal",), ("basket", "foul"), "--sequences")
    assert caught.value.details == {"classes": "basket, foul"}

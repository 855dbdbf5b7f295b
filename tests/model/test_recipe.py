"""Recipes of features: read, compared, and refused with what is wrong."""

from dataclasses import replace
from typing import Any

import pytest

from model.data.layout.description import parse_description
from model.errors import ConfigError, DataError
from model.recipe import Recipe

RECIPE = Recipe(model="resnet152.tv_in1k", weights="a" * 64, preprocessing="224x224", frame_rate=2.0)
DESCRIPTION = """
name = "handball"
labels_file = "Labels.json"
[classes]
goal = ["goal"]
[features.VIDEO]
stem = "VIDEO"
frame_rate = 2.0
[features.VIDEO.recipe]
model = "resnet152.tv_in1k"
preprocessing = "224x224"
frame_rate = 2.0
"""


def test_table_gives_the_recipe_back() -> None:
    for recipe in (RECIPE, replace(RECIPE, pca="b" * 64)):
        assert Recipe.read(recipe.table()) == recipe
    assert "pca" not in RECIPE.table()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": None}, "weights is missing"),
        ({"colour": "grey"}, "unknown key 'colour'"),
        ({"model": 3}, "expected texts"),
        ({"frame_rate": "2"}, "a number as frame_rate"),
        ({"frame_rate": True}, "a number as frame_rate"),
    ],
)
def test_wrong_table_is_refused(change: dict[str, Any], message: str) -> None:
    table = {name: value for name, value in {**RECIPE.table(), **change}.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        Recipe.read(table)


def test_every_difference_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        RECIPE.check_equal(replace(RECIPE, weights="c" * 64, pca="b" * 64), what="another recipe")
    assert str(caught.value) == (
        "another recipe; weights: expected aaaaaaaaaaaa..., got cccccccccccc...; "
        "pca: expected none, got bbbbbbbbbbbb..."
    )


def test_description_holds_recipes_and_names_what_is_wrong_with_them() -> None:
    text = DESCRIPTION + f'weights = "{"a" * 64}"\n'
    assert parse_description(text, source="dataset.toml").recipes == {"VIDEO": RECIPE}
    with pytest.raises(DataError, match=r"features\.VIDEO\.recipe: weights is missing"):
        parse_description(DESCRIPTION, source="dataset.toml")

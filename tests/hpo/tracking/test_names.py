"""Names that MLflow refuses are written under others, and come back as they were."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.tracking.names import (
    LONGEST,
    accepted_name,
    name_in_older_records,
    original_name,
    tags_of_long_names,
)

ODD = ["/loss", "loss/", "a//b", "./a", "a/..", "..", "..a", "a->b", "", "a/./b", "a\n", "_x3E_", "_x_x3E_"]
# What names are made of, and what codes are made of: a mistake in their order shows soonest here.
NAMES = st.text() | st.text(alphabet="_x3Ef-./> :a") | st.text(alphabet="_x3E>a", min_size=LONGEST - 2)


def validators() -> list[Callable[[str], None]]:
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name, _validate_tag_name

    return [_validate_metric_name, _validate_param_name, _validate_tag_name]


@pytest.mark.parametrize("name", ODD)
def test_names_that_mlflow_refuses_are_made_acceptable(name: str) -> None:
    for validate in validators():
        validate(accepted_name(name))


@given(NAMES)
def test_any_name_is_accepted_and_comes_back(name: str) -> None:
    accepted = accepted_name(name)
    assert len(accepted) <= LONGEST
    for validate in validators():
        validate(accepted)
    assert original_name(accepted, tags_of_long_names([name])) == name


@given(NAMES, NAMES)
def test_no_two_names_become_the_same(one: str, other: str) -> None:
    assert (accepted_name(one) == accepted_name(other)) == (one == other)


def test_names_that_mlflow_accepts_are_kept() -> None:
    for name in ("valid/segmentation_loss", "ap/tir cadré", "K4.shots-on-target", "hpo.status", "a_b"):
        assert accepted_name(name) == name and original_name(name) == name


def test_names_that_differ_only_in_what_mlflow_refuses_stay_two() -> None:
    assert accepted_name("ap/yellow->red-card") == "ap/yellow-_x3E_red-card"
    assert accepted_name("ap/yellow--red-card") == "ap/yellow--red-card"


def test_a_name_that_is_too_long_needs_its_tag_to_come_back() -> None:
    name = "ap/" + "corner " * 50
    [whole] = tags_of_long_names([name, "score"]).values()
    assert whole == name
    assert original_name(accepted_name(name)) == accepted_name(name)


def test_older_records_had_hyphens() -> None:
    assert name_in_older_records("ap/yellow->red-card") == "ap/yellow--red-card"
    assert name_in_older_records("/loss") == "-/loss"

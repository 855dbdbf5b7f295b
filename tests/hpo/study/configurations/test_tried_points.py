"""Points that a user wants a search to try, in its space."""

from typing import Any

import pytest
from calf_plan import calf_plan

from hpo.config.point_file import TypedPoints
from hpo.space.space import Parameters
from hpo.study.configurations.tried_points import points_in_space
from hpo.study.plan import StudyPlan
from model.errors import ConfigError

SPACE = {
    "f": {"type": "int", "low": 4, "high": 64, "log": True},
    "r_s": {"type": "float", "low": 10.0, "high": 80.0},
    "matching": {"type": "choice", "choices": ["one-to-one", "none"]},
}
PLAN = calf_plan({"stages": {"bayes": {"trials": 9, "space": SPACE}}})


def points(*rows: dict[str, Any], plan: StudyPlan = PLAN) -> list[Parameters]:
    typed = TypedPoints(source="mine.csv", rows=rows)
    return points_in_space(typed, plan, plan.study.stages.named("bayes"))


def test_missing_values_come_from_the_study_file() -> None:
    assert points({"f": 8}, {}) == [
        {"f": 8, "r_s": 40.0, "matching": "one-to-one"},
        {"f": 16, "r_s": 40.0, "matching": "one-to-one"},
    ]


def test_missing_value_of_a_fixed_parameter_is_the_fixed_one() -> None:
    plan = calf_plan(
        {"stages": {"bayes": {"trials": 9, "space": {"f": 4, "r_s": 30, "alpha2": SPACE["r_s"]}}}}
    )
    assert points({"alpha2": 11}, plan=plan) == [{"f": 4, "r_s": 30, "alpha2": 11}]
    with pytest.raises(ConfigError, match="f = 16 lies outside the space"):
        points({"f": 16, "alpha2": 11}, plan=plan)
    with pytest.raises(ConfigError, match=r"alpha2 = 5 \(from the study file\) lies outside the space"):
        points({"r": 60}, plan=plan)


def test_cell_that_is_a_choice_is_this_text_whatever_number_it_reads_like() -> None:
    # As the choices "1" and "a,b" of a task of one's own.
    typed = TypedPoints(
        source="mine.csv", rows=[{"matching": 1, "f": 8}], cells=[{"matching": "none", "f": "8"}]
    )
    (point,) = points_in_space(typed, PLAN, PLAN.study.stages.named("bayes"))
    assert (point["matching"], point["f"]) == ("none", 8)


def test_r_may_be_in_frames() -> None:
    assert points({"r": 41})[0]["r_s"] == 20.5


def test_values_that_are_not_searched_may_be_repeated() -> None:
    assert points({"beta": 0.5, "f": 8}) == points({"f": 8})


@pytest.mark.parametrize(
    ("row", "complaint", "expected"),
    [
        ({"f": 99}, "f = 99 lies outside the space", "whole numbers 4 to 64, logarithmic"),
        ({"r": 10}, "r_s = 5 lies outside the space", "10 to 80"),
        ({"beta": 0.7}, "does not vary beta: expected 0.5, as in the study file, got 0.7", None),
        ({"gamma": 1}, "unknown hyperparameter: 'gamma'", None),
        ({"matching": "all"}, "cannot use this configuration: matching", None),
    ],
)
def test_point_outside_of_the_space_is_named(
    row: dict[str, Any], complaint: str, expected: str | None
) -> None:
    with pytest.raises(ConfigError, match=complaint) as refusal:
        points({"f": 8}, row)
    assert refusal.value.details["file"] == "mine.csv, row 2"
    assert refusal.value.details.get("expected") == expected

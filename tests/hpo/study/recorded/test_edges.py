"""Best values at the edge of a space."""

from pathlib import Path
from typing import Any

import pytest
from calf_plan import calf_plan

from hpo.journal.events import StageAsked, StageFinished, StageStarted, TrialAsked, TrialFinished
from hpo.journal.results import StudyState
from hpo.study.plan import StudyPlan
from hpo.study.recorded.edges import ENOUGH, edge_lines, edge_record, edges
from hpo.study.running.preparing import creation


def found(best: dict[str, Any], **space: Any) -> tuple[StudyPlan, StudyState]:
    """A search whose best is ``best``, with as many worse trials as it takes to look at it."""
    plan = calf_plan({"stages": {"bayes": {"trials": 9, "space": space}}})
    settings = plan.study.stages.named("bayes").model_dump(mode="json")
    varied = plan.task.varied(plan.study, "bayes", plan.shape)
    state = StudyState.replay(
        [
            creation(plan, Path("mine")),
            StageAsked(stage="bayes", settings=settings),
            StageStarted(stage="bayes", space=varied, trials=9),
            *trial("bayes-0000", best, 0.5),
            *(
                event
                for number in range(1, ENOUGH)
                for event in trial(f"bayes-{number:04}", {"n": number}, 0.4)
            ),
        ]
    )
    return plan, state


def trial(name: str, parameters: dict[str, Any], score: float) -> tuple[TrialAsked, TrialFinished]:
    return (
        TrialAsked(trial=name, stage="bayes", parameters=parameters, seed=0),
        TrialFinished(trial=name, score=score, epoch=1, duration_s=1.0),
    )


def numbers(kind: str, low: float, high: float, *, log: bool = False) -> dict[str, Any]:
    return {"type": kind, "low": low, "high": high, "log": log}


@pytest.mark.parametrize(
    ("alpha2", "log", "typed"),
    [
        (50.0, True, "alpha2=0.5..200"),
        (41.0, True, "alpha2=0.5..200"),
        (38.0, True, None),
        (0.5, True, "alpha2=0.1..50"),
        (48.0, False, "alpha2=0.5..60"),
        (41.0, False, None),
    ],
)
def test_edge_is_five_percent_of_the_range_on_the_scale_of_the_parameter(
    alpha2: float, log: bool, typed: str | None
) -> None:
    found_edges = edges(*found({"alpha2": alpha2}, alpha2=numbers("float", 0.5, 50.0, log=log)))
    assert [edge.typed for edge in found_edges] == ([typed] if typed else [])


def test_bound_beyond_which_there_are_no_numbers_stays() -> None:
    assert edges(*found({"alpha2": 1e300}, alpha2=numbers("float", 1e-300, 1e300, log=True))) == []


def test_lowest_of_a_few_whole_numbers_is_at_the_edge() -> None:
    (edge,) = edges(*found({"f": 2}, f=numbers("int", 2, 6)))
    assert (edge.side, edge.typed) == ("lower", "f=1..6")
    assert edge_record(edge) == {"parameter": "f", "best": 2, "side": "lower", "bound": 2, "wider": 1}


def test_large_whole_numbers_are_typed_with_all_their_digits() -> None:
    (edge,) = edges(*found({"f": 2}, f=numbers("int", 2, 2_000_000, log=True)))
    assert edge.typed == "f=1..2000000"


def test_bound_moves_only_as_far_as_trials_can_be_trained() -> None:
    (edge,) = edges(*found({"r_s": 80.0}, r_s=numbers("float", 10.0, 80.0, log=True)))
    assert 80 < edge.wider < 120, "a chunk has 120 s"
    assert edges(*found({"tau_max": 1.0}, tau_max=numbers("float", 0.5, 1.0))) == []


def test_what_is_above_zero_is_not_searched_at_zero() -> None:
    assert edges(*found({"f": 1}, f=numbers("int", 1, 6))) == []
    assert edges(*found({"beta": 0.1}, beta=numbers("float", 0.1, 5.0))) == []


def test_bound_that_stays_is_typed_exactly() -> None:
    (edge,) = edges(*found({"beta": 5.0}, beta=numbers("float", 0.123456789, 5.0, log=True)))
    assert edge.typed.startswith("beta=0.123456789..")


def test_fixed_values_and_choices_have_no_edge() -> None:
    assert edges(*found({"f": 8, "beta": 0.1}, f=8, beta={"type": "choice", "choices": [0.1, 1]})) == []


def test_lines_name_the_command_that_searches_beyond_all_edges() -> None:
    space = {"alpha2": numbers("float", 0.5, 50.0, log=True), "f": numbers("int", 2, 6)}
    assert edge_lines(*found({"alpha2": 49.0, "f": 2}, **space)) == [
        "edge of the space: the best f, 2, is within 5 % of the lower bound 2",
        "edge of the space: the best alpha2, 49, is within 5 % of the upper bound 50",
        "to search beyond it: hpo run bayes --study mine --space f=1..6 --space alpha2=0.5..200",
    ]


def test_search_that_has_ended_says_how_many_configurations_are_added() -> None:
    plan, state = found({"f": 2}, f=numbers("int", 2, 6))
    state.apply(StageFinished(stage="bayes", best_trial="bayes-0000", chosen={"f": 2}))
    assert edge_lines(plan, state)[-1] == (
        "to search beyond it with 10 more configurations: hpo run bayes --study mine --space f=1..6"
    )


def test_few_configurations_and_equal_scores_have_no_edge() -> None:
    plan, state = found({"f": 2}, f=numbers("int", 2, 6))
    assert edges(plan, state)
    few = StudyState.replay([creation(plan, Path("mine"))])
    few.apply(StageAsked(stage="bayes", settings=dict(state.asked["bayes"].settings)))
    few.apply(StageStarted(stage="bayes", space=dict(state.stages["bayes"].space), trials=9))
    for number in range(ENOUGH):
        assert edges(plan, few) == []
        for event in trial(f"bayes-{number:04}", {"f": 2, "n": number}, 0.0):
            few.apply(event)
    assert edges(plan, few) == []

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hpo.journal.budget import TRIAL_START_S, time_left, trial_s
from hpo.journal.events import (
    BudgetEnded,
    BudgetSet,
    Event,
    StageAsked,
    StageExtended,
    StageFinished,
    StageStarted,
    StudyCreated,
    StudyInterrupted,
    StudyResumed,
    TrialAsked,
    TrialReported,
)
from hpo.journal.results import StudyState

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def state_after(*events: Event, hours: float | None = None, stage_hours: float | None = None) -> StudyState:
    created = StudyCreated(
        at=NOON,
        study="s",
        plan={"study": {"hours": hours}},
        seed=0,
        data_digest="",
        code_digest="",
        versions={},
    )
    begin = [
        StageAsked(at=NOON, stage="bayes", settings={"hours": stage_hours}),
        StageStarted(at=NOON, stage="bayes", space={}, trials=9, epochs=4),
    ]
    return StudyState.replay([created, *begin, *events])


def left(state: StudyState, now: float, stage: str = "bayes") -> tuple[str, float] | None:
    limit = time_left(state, stage, at(now), is_running=True)
    return limit and (limit.words, round(limit.left_s / 3600, 6))


def test_study_without_a_budget_has_no_limit() -> None:
    assert left(state_after(), 99) is None


def test_hours_count_over_all_sessions_and_a_time_of_the_day_does_not() -> None:
    stopped = (StudyInterrupted(at=at(1), reason="r"), StudyResumed(at=at(5), versions={}))
    state = state_after(BudgetSet(at=NOON, hours=3), *stopped)
    assert left(state, 6) == ("3 h", 1)
    state.apply(BudgetSet(at=at(6), until=at(8)))
    limit = time_left(state, "bayes", at(7), is_running=False)
    assert limit is not None and limit.left_s == 3600 and limit.words.startswith("until 2026-01-0")


def test_the_nearest_limit_holds() -> None:
    assert left(state_after(hours=4, stage_hours=2), 1) == ("2 h for stage bayes", 1)
    assert left(state_after(hours=2, stage_hours=4), 1) == ("2 h", 1)


def test_typed_budget_replaces_that_of_the_study_file_until_another_stage_runs() -> None:
    state = state_after(BudgetSet(at=at(1), hours=5), hours=1.5, stage_hours=1)
    assert left(state, 2) == ("5 h", 4)
    state.apply(BudgetSet(at=at(2), hours=math.inf))
    assert left(state, 2) is None
    state.apply(BudgetSet(at=at(2)))
    assert left(state, 2) == ("1 h for stage bayes", -1)


def test_hours_of_a_search_go_on_where_it_ended_when_it_gets_more_trials() -> None:
    state = state_after(
        StageFinished(at=at(1), stage="bayes", best_trial=""),
        StageAsked(at=at(1), stage="final", settings={}),
        StageStarted(at=at(1), stage="final", space={}, trials=2),
        StageFinished(at=at(4), stage="final", best_trial=""),
        StageExtended(at=at(4), stage="bayes", settings={"hours": 3}, trials=12),
    )
    assert left(state, 5) == ("3 h for stage bayes", 1)


def reported(trial: str, epoch: int, train_s: float, stage: str = "bayes") -> list[Event]:
    return [
        TrialAsked(trial=trial, stage=stage, parameters={}, seed=0),
        TrialReported(trial=trial, epoch=epoch, metrics={"average_map": 0.1}, train_s=train_s),
    ]


def test_time_of_a_trial_is_measured_on_those_so_far_first_of_the_stage() -> None:
    state = state_after()
    assert trial_s(state, "bayes", 4) is None
    for event in [*reported("a", 4, 10.0), *reported("b", 1, 5.0)]:
        state.apply(event)
    assert trial_s(state, "bayes", 4) == TRIAL_START_S + 4 * 15 / 5
    state.apply(StageStarted(stage="final", space={}, trials=2, epochs=8))
    assert trial_s(state, "final", 8) == TRIAL_START_S + 8 * 15 / 5
    for event in reported("c", 2, 2.0, stage="final"):
        state.apply(event)
    assert trial_s(state, "final", 8) == TRIAL_START_S + 8


def test_trials_without_a_validation_do_not_make_the_time_of_a_trial_unknown() -> None:
    state = state_after(*reported("a", 4, 10.0))
    for number in range(100):
        state.apply(TrialAsked(trial=f"failed-{number}", stage="bayes", parameters={}, seed=0))
    assert trial_s(state, "bayes", 4) == TRIAL_START_S + 10


@pytest.mark.parametrize(("array", "concurrent", "together"), [(16, 8, 8), (8, 10, 5), (4, 8, 4), (1, 8, 1)])
def test_trial_of_an_array_takes_as_long_as_all_trials_of_the_array_together(
    array: int, concurrent: int, together: int
) -> None:
    state = state_after(
        StageAsked(stage="final", settings={"array": array, "concurrent": concurrent}),
        StageStarted(stage="final", space={}, trials=8, epochs=4),
    )
    for event in reported("a", 4, 10.0, stage="final"):
        state.apply(event)
    assert trial_s(state, "final", 4) == TRIAL_START_S + together * 10
    # Trials that the stage gets later may share other arrays; this one has trained in its own.
    settings = {"array": 2 * together, "concurrent": 2 * together}
    state.apply(StageExtended(stage="final", settings=settings, trials=9))
    assert trial_s(state, "final", 4) == TRIAL_START_S + together * 10


@pytest.mark.parametrize(
    ("over", "cut_short"),
    [
        ({"of_stage": True, "suffices": True}, True),
        ({"of_stage": True, "suffices": False}, False),
        ({"of_stage": False, "suffices": True}, False),
    ],
)
def test_search_whose_own_budget_is_over_makes_way_for_the_stages_that_wait(
    over: dict[str, Any], cut_short: bool
) -> None:
    waits = StageAsked(at=NOON, stage="final", settings={})
    state = state_after(waits, BudgetEnded(at=at(1), stage="bayes", budget="1 h", **over))
    assert state.budget_over == "1 h"
    assert bool(state.stages["bayes"].cut_short) == cut_short


def test_search_that_no_stage_waits_for_is_not_cut_short() -> None:
    over = BudgetEnded(at=at(1), stage="bayes", budget="1 h", of_stage=True, suffices=True)
    assert not state_after(over).stages["bayes"].cut_short


def test_search_without_a_validation_is_not_cut_short_by_a_stage_that_is_typed_then() -> None:
    state = state_after(BudgetEnded(at=at(1), stage="bayes", budget="1 h", suffices=False))
    state.apply(StageAsked(at=at(2), stage="final", settings={}))
    assert not state.stages["bayes"].cut_short


def test_search_whose_budget_is_over_makes_way_for_a_stage_that_is_typed_then() -> None:
    state = state_after(BudgetEnded(at=at(1), stage="bayes", budget="1 h", suffices=True))
    assert not state.stages["bayes"].cut_short
    state.apply(StageAsked(at=at(2), stage="final", settings={}))
    state.apply(BudgetSet(at=at(2)))
    assert state.stages["bayes"].cut_short == "1 h"
    state.apply(StageExtended(at=at(3), stage="bayes", settings={}, trials=12))
    assert not state.stages["bayes"].cut_short


def test_new_budget_lets_a_stage_go_on() -> None:
    state = state_after(
        BudgetEnded(at=at(1), stage="bayes", budget="1 h", suffices=True), BudgetSet(at=at(2), hours=1)
    )
    assert not state.budget_over
    state.apply(StageAsked(at=at(2), stage="final", settings={}))
    assert not state.stages["bayes"].cut_short

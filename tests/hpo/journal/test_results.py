"""The state of a study follows from its events alone."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.journal.events import (
    DataMoved,
    Event,
    StageAsked,
    StageExtended,
    StageFinished,
    StageRetried,
    StageStarted,
    StudyCreated,
    StudyInterrupted,
    StudyResumed,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStarted,
    TrialStopped,
)
from hpo.journal.ranking import Expected
from hpo.journal.results import StudyState
from hpo.journal.trial_state import TrialStatus
from model.errors import UserError

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
CREATED = StudyCreated(
    at=NOON,
    study="demo",
    plan={"task": "calf"},
    seed=1,
    data_digest="d",
    code_digest="c",
    versions={"torch": "2.13"},
)
STARTED = StageStarted(at=NOON, stage="bayes", space={"f": [4, 64]}, trials=3)


def asked(trial: str, stage: str = "bayes", f: int = 16) -> TrialAsked:
    return TrialAsked(at=NOON, trial=trial, stage=stage, parameters={"f": f}, seed=7)


def ranked(state: StudyState, stage: str = "bayes", count: int | None = None) -> list[str]:
    return [configuration.name for configuration in state.ranked(stage, count)]


def running(trial: str, minutes: int = 1) -> TrialStarted:
    return TrialStarted(at=NOON + timedelta(minutes=minutes), trial=trial, host="box", device="cpu")


def reported(trial: str, epoch: int, average_map: float = 0.1) -> TrialReported:
    return TrialReported(at=NOON, trial=trial, epoch=epoch, metrics={"average_map": average_map}, train_s=1.0)


def finished(trial: str, score: float) -> TrialFinished:
    return TrialFinished(at=NOON + timedelta(hours=1), trial=trial, score=score, epoch=40, duration_s=60.0)


def state_after(*events: Event) -> StudyState:
    return StudyState.replay([CREATED, STARTED, *events])


def test_a_trial_goes_from_asked_to_running_to_finished() -> None:
    state = state_after(asked("a"))
    assert state.counts()[TrialStatus.ASKED] == 1
    state.apply(running("a"))
    assert state.counts()[TrialStatus.RUNNING] == 1
    state.apply(reported("a", 20))
    state.apply(finished("a", 0.5))
    trial = state.trials["a"]
    assert (trial.status, trial.score, trial.best_epoch, trial.duration_s) == ("finished", 0.5, 40, 60.0)
    assert (trial.parameters, trial.seed, trial.host, trial.device) == ({"f": 16}, 7, "box", "cpu")
    assert list(trial.reports) == [20]
    assert trial.has_ended


def test_a_failed_trial_keeps_its_reason() -> None:
    state = state_after(asked("a"), running("a"), TrialFailed(trial="a", reason="loss is NaN"))
    assert state.trials["a"].status is TrialStatus.FAILED
    assert state.trials["a"].reason == "loss is NaN"


def test_a_stopped_trial_has_ended_with_the_score_it_reached_and_ranks_by_it() -> None:
    stop = TrialStopped(at=NOON, trial="a", score=0.9, epoch=20, duration_s=5.0)
    state = state_after(asked("a"), reported("a", 20, 0.9), reported("a", 40, 0.2), stop, asked("b", f=8))
    trial = state.trials["a"]
    assert (trial.status, trial.score, trial.best_epoch, trial.epochs_trained) == ("stopped", 0.9, 20, 40)
    assert trial.has_ended
    state.apply(finished("b", 0.5))
    assert ranked(state) == ["a", "b"]


def test_what_has_ended_stays_as_it_ended() -> None:
    state = state_after(asked("a"), finished("a", 0.5), finished("a", 0.9), running("a"), asked("a"))
    assert (state.trials["a"].status, state.trials["a"].score) == ("finished", 0.5)


def test_an_epoch_reported_again_after_a_restart_keeps_its_first_report() -> None:
    state = state_after(asked("a"), reported("a", 20, 0.1), reported("a", 40, 0.2), running("a"))
    state.apply(reported("a", 40, 0.3))
    assert {e: r.metrics["average_map"] for e, r in state.trials["a"].reports.items()} == {20: 0.1, 40: 0.2}


def test_a_trial_that_goes_on_elsewhere_names_its_new_place_and_its_first_start() -> None:
    again = TrialStarted(at=NOON + timedelta(hours=2), trial="a", host="other", device="cuda")
    trial = state_after(asked("a"), running("a"), again).trials["a"]
    assert (trial.host, trial.device, trial.started_at) == ("other", "cuda", running("a").at)


def test_best_trials_come_first_and_earlier_ones_before_their_equals() -> None:
    events = [asked(name, f=number) for number, name in enumerate("abcde")]
    scores = {"c": 0.2, "a": 0.2, "b": 0.9, "d": math.nan}
    state = state_after(*events, *(finished(name, score) for name, score in scores.items()))
    assert ranked(state) == ["b", "a", "c"]
    assert ranked(state, count=1) == ["b"]


def test_best_and_counts_can_be_of_one_stage() -> None:
    final = StageStarted(stage="final", space={}, trials=1)
    state = state_after(asked("a"), final, asked("z", "final"), finished("a", 0.1), finished("z", 0.9))
    assert ranked(state) == ["a"] and ranked(state, "final") == ["z"]
    assert state.counts(stage="final") == {"asked": 0, "running": 0, "finished": 1, "stopped": 0, "failed": 0}


def test_an_interrupted_study_is_no_longer_so_once_resumed() -> None:
    state = state_after(StudyInterrupted(reason="Ctrl-C"))
    assert str(state.interrupted) == "Ctrl-C"
    state.apply(StudyResumed(at=NOON, versions={"torch": "2.14"}))
    assert not state.interrupted
    assert (state.resumed, state.versions) == (1, {"torch": "2.14"})
    assert state.updated_at == NOON


def test_data_that_moved_are_in_the_plan_where_they_are_now() -> None:
    state = state_after(DataMoved(at=NOON, data="/elsewhere"), DataMoved(at=NOON, data="../../data/demo-0"))
    assert state.created.plan["data"] == "../../data/demo-0"
    assert state.created.plan.keys() - {"data"} == state_after().created.plan.keys() - {"data"}


def test_a_stage_keeps_its_space_and_its_best_trial() -> None:
    state = state_after(asked("a"), finished("a", 0.5), StageFinished(at=NOON, stage="bayes", best_trial="a"))
    stage = state.stages["bayes"]
    assert (stage.space, stage.trials, stage.finished_at, stage.best_trial) == ({"f": [4, 64]}, 3, NOON, "a")


def test_a_stage_without_a_finished_trial_has_no_best() -> None:
    state = state_after(StageFinished(stage="bayes", best_trial=""))
    assert state.stages["bayes"].best_trial is None


def test_a_stage_started_again_after_a_restart_is_the_same_stage() -> None:
    state = state_after(asked("a"), StageStarted(stage="bayes", space={}, trials=9))
    assert state.stages["bayes"].trials == 3


@pytest.mark.parametrize("events", [[], [STARTED]])
def test_a_journal_begins_with_the_creation_of_its_study(events: list[Event]) -> None:
    with pytest.raises(UserError, match="does not begin with the creation"):
        StudyState.replay(events)


@pytest.mark.parametrize("event", [running("x"), reported("x", 1), finished("x", 1.0), asked("x", "grid")])
def test_an_event_of_something_unknown_is_an_error(event: Event) -> None:
    with pytest.raises(UserError, match="but not its"):
        state_after(event)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["start", "report", "finish", "fail"]))))
def test_replaying_a_journal_equals_following_it(steps: list[tuple[str, str]]) -> None:
    kinds: dict[str, Callable[[str], Event]] = {
        "start": running,
        "report": lambda trial: reported(trial, 20),
        "finish": lambda trial: finished(trial, 0.5),
        "fail": lambda trial: TrialFailed(at=NOON, trial=trial, reason=""),
    }
    events: list[Event] = [*map(asked, "abc"), *(kinds[kind](trial) for trial, kind in steps)]
    followed = state_after()
    for event in events:
        followed.apply(event)
    assert followed == state_after(*events)
    assert sum(followed.counts().values()) == 3


def stage_finished(stage: str, best: str, f: int) -> StageFinished:
    return StageFinished(at=NOON, stage=stage, best_trial=best, chosen={"f": f})


def later_stage(name: str, *, asked: dict[str, Any], start: dict[str, Any]) -> list[Event]:
    return [
        StageAsked(at=NOON, stage=name, settings={}, start=asked),
        StageStarted(at=NOON, stage=name, space={}, trials=2, start=start),
    ]


def test_failed_trials_that_are_retried_begin_anew_and_reopen_their_stage() -> None:
    state = state_after(
        TrialAsked(at=NOON, trial="bayes-0001", stage="bayes", parameters={"f": 2}, seed=0),
        TrialReported(at=NOON, trial="bayes-0001", epoch=2, metrics={"average_map": 0.2}, train_s=1.0),
        TrialFailed(at=NOON, trial="bayes-0001", reason="out of memory"),
        StageFinished(at=NOON, stage="bayes", best_trial="", chosen={}),
        StageRetried(at=NOON, stage="bayes"),
    )
    trial = state.trials["bayes-0001"]
    assert (trial.status, trial.reason, trial.reports) == (TrialStatus.ASKED, None, {})
    assert trial.spent_s == 1.0
    assert state.validations == []
    assert state.counts()[TrialStatus.FAILED] == 0
    assert state.stages["bayes"].finished_at is None
    again = TrialReported(at=NOON, trial="bayes-0001", epoch=2, metrics={"average_map": 0.4}, train_s=1.0)
    assert state.apply(again) and state.validations == [again]
    state.apply(TrialFinished(at=NOON, trial="bayes-0001", score=0.4, epoch=2, duration_s=1.0))
    assert [found.mean for found in state.ranked("bayes")] == [0.4]
    assert state.trials["bayes-0001"].spent_s == 2.0


def test_stage_keeps_what_the_stages_before_it_had_chosen_when_it_started() -> None:
    state = state_after(
        StageAsked(at=NOON, stage="bayes", settings={}),
        stage_finished("bayes", "bayes-0001", 16),
        *later_stage("grid-slicing", asked={}, start={"f": 16}),
        *later_stage("ablation", asked={"f": 9}, start={"f": 9}),
        *later_stage("bmn-slicing", asked={}, start={}),
    )
    extension = StageExtended(at=NOON, stage="bayes", settings={}, trials=9)
    for event in (extension, stage_finished("bayes", "bayes-0007", 8), extension):
        state.apply(event)
    former = state.stages["grid-slicing"].earlier["bayes"]
    assert (former.best_trial, former.chosen) == ("bayes-0001", {"f": 16})
    assert all(not state.stages[name].earlier for name in ("bayes", "ablation", "bmn-slicing"))


def test_search_that_is_extended_ranks_by_the_mean_again_until_it_ends() -> None:
    expected = {"b": (0.6, 0.1), "a": (0.4, 0.1)}
    state = state_after(
        StageAsked(at=NOON, stage="bayes", settings={}),
        *(asked("a", f=1), asked("b", f=2), finished("a", 0.9), finished("b", 0.5)),
        StageFinished(at=NOON, stage="bayes", best_trial="b", expected=expected, noise=0.05),
    )
    assert ranked(state) == ["b", "a"]
    assert {each.expected for each in state.ranked("bayes")} == {
        Expected(0.6, 0.1, 0.05),
        Expected(0.4, 0.1, 0.05),
    }
    state.apply(StageExtended(at=NOON, stage="bayes", settings={}, trials=9))
    assert ranked(state) == ["a", "b"]

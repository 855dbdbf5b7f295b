from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from calf_plan import calf_plan

from hpo.config.environment import read_environment
from hpo.journal.events import (
    BudgetSet,
    GainEstimated,
    StageAsked,
    StageExtended,
    StageStarted,
    StudyCreated,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStopped,
)
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState, TrialStatus
from hpo.journal.stage_state import UNLIKELY
from hpo.programs.search import SearchProgram
from hpo.search.searcher import Gain
from hpo.study.budget import StageBudget
from hpo.study.plan import StageRequest, StudyPlan, stage_settings
from hpo.study.runner import StageRunner
from hpo.study.stage import build_stage
from hpo.study.stop_requests import WHOLE_STUDY, StopRequests
from hpo.trial.report import Report
from hpo.trial.specification import TrialSpec
from model.errors import ConfigError

SPACE = {
    "f": {"type": "int", "low": 2, "high": 64, "log": True},
    "beta": {"type": "float", "low": 0.05, "high": 5.0, "log": True},
}


def plan_of(
    trials: int = 6, space: dict[str, dict[str, object]] = SPACE, *, epochs: int = 2, **settings: object
) -> StudyPlan:
    stages = {"bayes": {"trials": trials, "space": space, **settings}}
    return calf_plan({"training": {"epochs": epochs}, "stages": stages})


def begin(folder: Path, plan: StudyPlan) -> Journal:
    journal = Journal.create(folder)
    journal.append(
        StudyCreated(
            study=folder.name,
            plan=plan.to_json(),
            seed=plan.seed,
            data_digest=plan.data_digest,
            code_digest="c",
            versions={},
        )
    )
    journal.append(StageStarted(stage="bayes", space={}, trials=plan.study.stages.bayes.trials))
    return journal


def runner_on(
    journal: Journal, plan: StudyPlan, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> StageRunner:
    program = build_stage(plan, "bayes", {}, finalists={})
    state = StudyState.replay(journal.events())
    budget = StageBudget(state, "bayes", plan.study.training.epochs, 5.0, clock)
    return StageRunner(plan, "bayes", program, journal, state, lambda state: None, budget)


def next_spec(runner: StageRunner) -> TrialSpec:
    task = runner.next_spec()
    assert isinstance(task, TrialSpec)
    return task


def report(epoch: int, score: float) -> Report:
    return Report(epoch, {"average_map": score}, float(epoch), score)


def train(runner: StageRunner, score: float) -> str:
    task = next_spec(runner)
    runner.started(task.trial)
    runner.reported(task.trial, report(1, score / 2))
    runner.reported(task.trial, report(2, score))
    runner.finished(task.trial)
    return task.trial


def test_first_trial_is_the_study_files_own_point_and_the_stage_ends_after_its_trials(tmp_path: Path) -> None:
    plan = plan_of(trials=2)
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        first = next_spec(runner)
        assert first.parameters == {"f": 16, "beta": 0.5}
        assert runner.next_spec() is not None
        assert runner.next_spec() is None
        assert not runner.complete


def test_resumed_search_goes_on_as_it_would_have(tmp_path: Path) -> None:
    plan = plan_of()
    scores = (0.1, 0.4, 0.2, 0.3)
    with begin(tmp_path / "whole", plan) as journal:
        runner = runner_on(journal, plan)
        for score in scores:
            train(runner, score)
        expected = [next_spec(runner), next_spec(runner)]
    with begin(tmp_path / "parts", plan) as journal:
        for score in scores:
            train(runner_on(journal, plan), score)
        resumed = runner_on(journal, plan)
        given = [next_spec(resumed), next_spec(resumed)]
    assert [task.parameters for task in given] == [task.parameters for task in expected]


def test_trials_that_were_running_come_first_and_know_what_they_reported(tmp_path: Path) -> None:
    plan = plan_of()
    with begin(tmp_path / "study", plan) as journal:
        before = runner_on(journal, plan)
        running = next_spec(before)
        before.started(running.trial)
        before.reported(running.trial, report(1, 0.2))
        again = next_spec(runner_on(journal, plan))
        assert (again.trial, again.parameters, again.reported_epoch) == (running.trial, running.parameters, 1)


def test_repeated_report_is_written_once(tmp_path: Path) -> None:
    plan = plan_of()
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        task = next_spec(runner)
        for _ in range(2):
            runner.reported(task.trial, report(1, 0.2))
        assert sum(isinstance(event, TrialReported) for event in journal.events()) == 1


def test_score_of_a_trial_is_its_best_validation(tmp_path: Path) -> None:
    plan = plan_of()
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        task = next_spec(runner)
        runner.reported(task.trial, report(1, 0.5))
        runner.reported(task.trial, report(2, 0.3))
        runner.finished(task.trial)
        best = runner.state.ranked("bayes", 1)[0].best_trial
        assert (best.score, best.best_epoch, best.duration_s) == (0.5, 1, 2.0)


def test_failed_trials_do_not_stop_the_search_and_complete_the_stage(tmp_path: Path) -> None:
    plan = plan_of(trials=3)
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        for _ in range(3):
            task = next_spec(runner)
            runner.failed(task.trial, "DivergedError: nan")
        assert runner.complete
        assert runner.state.counts()[TrialStatus.FAILED] == 3
        assert not runner.state.has_score


def test_stage_over_a_small_finite_space_ends_when_every_point_was_tried(tmp_path: Path) -> None:
    plan = plan_of(trials=9, space={"f": {"type": "choice", "choices": [8, 16]}})
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        train(runner, 0.1)
        train(runner, 0.2)
        assert runner.next_spec() is None
        assert runner.complete


def test_plan_survives_a_trip_through_the_journal(tmp_path: Path) -> None:
    plan = plan_of()
    with begin(tmp_path / "study", plan) as journal:
        created = StudyState.replay(journal.events()).created
        assert StudyPlan.from_json(created.plan, file="journal") == plan


@pytest.mark.parametrize("stream", ["data_seed", "search_seed"])
def test_streams_of_one_seed_differ_and_those_of_another_seed_too(stream: str) -> None:
    from dataclasses import replace

    plan, other = plan_of(), replace(plan_of(), seed=8)
    assert plan.data_seed != plan.search_seed
    assert getattr(plan, stream) != getattr(other, stream)


EPOCHS = 6


def score_of(trial: str, epoch: int) -> float:
    """Learning curves that cross, so that both rules stop some and let others pass."""
    number = int(trial[-4:])
    return round((number * 7 % 10) / 10 + (number * 3 % 4 - 1.5) * epoch / 20, 4)


def train_all(runner: StageRunner) -> None:
    """One trial after the other, each on from its last report, as the scheduler does it."""
    while (task := runner.next_spec()) is not None:
        assert isinstance(task, TrialSpec)
        runner.started(task.trial)
        for epoch in range(task.reported_epoch + 1, EPOCHS + 1):
            if not runner.reported(task.trial, report(epoch, score_of(task.trial, epoch))):
                break
        else:
            runner.finished(task.trial)


def outcome(state: StudyState) -> dict[str, tuple[object, ...]]:
    return {
        trial.trial: (trial.status, trial.epochs_trained, trial.score, dict(trial.parameters))
        for trial in state.trials.values()
    }


@pytest.mark.parametrize("scheduler", ["asha", "median"])
def test_study_killed_after_any_event_stops_the_trials_that_it_would_have_stopped(
    tmp_path: Path, scheduler: str
) -> None:
    plan = plan_of(6, epochs=EPOCHS, searcher="random", scheduler=scheduler, reduction_factor=2)
    with begin(tmp_path / "whole", plan) as journal:
        train_all(runner_on(journal, plan))
        events = list(journal.events())
        expected = outcome(StudyState.replay(events))
    assert {status for status, *_ in expected.values()} == {TrialStatus.FINISHED, TrialStatus.STOPPED}
    for length in range(2, len(events)):
        with Journal.create(tmp_path / f"killed-{length}") as journal:
            for event in events[:length]:
                journal.append(event)
            train_all(runner_on(journal, plan))
            after = journal.events()
            assert outcome(StudyState.replay(after)) == expected
            ends = [e.trial for e in after if isinstance(e, TrialFinished | TrialStopped)]
            assert len(ends) == len(set(ends)) == 6


def test_process_that_was_lost_after_a_stop_cannot_change_how_its_trial_ended(tmp_path: Path) -> None:
    plan = plan_of(2, epochs=EPOCHS, searcher="random", scheduler="asha")
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        first, second = next_spec(runner).trial, next_spec(runner).trial
        assert runner.reported(first, report(1, 0.5))
        assert not runner.reported(second, report(1, 0.4))
        before = list(journal.events())
        runner.started(second)
        assert not runner.reported(second, report(2, 0.9))
        runner.failed(second, "the process of the trial died 3 times")
        runner.finished(second)
        assert list(journal.events()) == before
        assert runner.state.trials[second].status is TrialStatus.STOPPED


def test_grace_that_lasts_as_long_as_a_trial_is_refused_for_the_stage_that_stops_trials() -> None:
    plan = plan_of(epochs=9, scheduler="asha", grace_epochs=4)
    with pytest.raises(ConfigError, match="expected grace_epochs below the 3 epochs of a trial, got 4"):
        stage_settings(plan, StageRequest(name="bayes", options={"epochs": 3}), read_environment({}))
    assert (
        stage_settings(plan, StageRequest(name="final", options={"epochs": 3}), read_environment({}))[
            "epochs"
        ]
        == 3
    )


def test_best_validation_is_that_of_the_mean_that_the_study_file_names(tmp_path: Path) -> None:
    stages = {"bayes": {"trials": 1, "space": SPACE}}
    plan = calf_plan({"scoring": {"mean": "present"}, "stages": stages})
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        task = next_spec(runner)
        for epoch, every, present in ((1, 0.5, 0.6), (2, 0.3, 0.9)):
            metrics = {"average_map": every, "average_map_present": present}
            runner.reported(task.trial, Report(epoch, metrics, float(epoch), present))
        runner.finished(task.trial)
        best = runner.state.ranked("bayes", 1)[0].best_trial
        assert (best.score, best.best_epoch) == (0.9, 2)


class Clock:
    """The present time, which a test sets."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def with_budget(folder: Path, plan: StudyPlan, seconds: float) -> Journal:
    journal = begin(folder, plan)
    journal.append(BudgetSet(hours=seconds / 3600))
    return journal


def test_no_trial_starts_that_could_not_end_in_time(tmp_path: Path) -> None:
    plan = plan_of()
    with with_budget(tmp_path / "study", plan, 10) as journal:
        clock = Clock()
        runner = runner_on(journal, plan, clock)
        train(runner, 0.1)  # 2 s of training
        clock.wait(6.5)
        train(runner, 0.2)
        assert runner.budget_over is None
        clock.wait(2)
        assert runner.next_spec() is None
        assert runner.budget_over is not None and runner.budget_over.words == f"{10 / 3600:g} h"
        assert not runner.should_end() and not runner.complete


def test_before_the_first_validation_the_measured_time_counts(tmp_path: Path) -> None:
    plan = plan_of()
    with with_budget(tmp_path / "study", plan, 4.5) as journal:
        assert runner_on(journal, plan, Clock()).next_spec() is None


def test_trials_that_run_when_the_time_is_up_can_go_on_later(tmp_path: Path) -> None:
    plan = plan_of()
    with with_budget(tmp_path / "study", plan, 10) as journal:
        clock = Clock()
        runner = runner_on(journal, plan, clock)
        task = next_spec(runner)
        runner.started(task.trial)
        runner.reported(task.trial, report(1, 0.2))
        assert not runner.should_end() and runner.budget_over is None
        clock.wait(11)
        assert runner.should_end() and runner.budget_over is not None
        journal.append(BudgetSet(hours=1))
        again = next_spec(runner_on(journal, plan))
        assert (again.trial, again.reported_epoch) == (task.trial, 1)


def test_search_that_is_cut_short_ends_its_trials_with_what_they_reached(tmp_path: Path) -> None:
    plan = plan_of()
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        first, second = next_spec(runner).trial, next_spec(runner).trial
        runner.reported(first, report(1, 0.2))
        runner.close("the budget of 1 h is over")
        ends = [event for event in journal.events() if isinstance(event, TrialStopped | TrialFailed)]
        assert [(end.trial, end.reason) for end in ends] == [
            (first, "the budget of 1 h is over"),
            (second, "ended before its first validation: the budget of 1 h is over"),
        ]
        assert runner.state.trials[first].score == 0.2


def test_trial_that_the_user_stops_ends_at_its_next_validation_and_the_next_one_starts(
    tmp_path: Path,
) -> None:
    plan = plan_of(epochs=EPOCHS)
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        task, other = next_spec(runner).trial, next_spec(runner).trial
        assert runner.reported(task, report(1, 0.4))
        StopRequests(journal.folder).add(task)
        again = runner_on(journal, plan)  # the request stands over a restart
        assert again.reported(other, report(1, 0.5))
        assert not again.reported(task, report(2, 0.3))
        trial = again.state.trials[task]
        assert (trial.status, trial.reason, trial.score) == (TrialStatus.STOPPED, "stopped by the user", 0.4)
        assert not StopRequests(journal.folder).has(task)


def test_trial_at_its_last_validation_has_finished_although_the_user_stops_it(tmp_path: Path) -> None:
    plan = plan_of()
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        task = next_spec(runner).trial
        StopRequests(journal.folder).add(task)
        assert runner.reported(task, report(2, 0.4))
        runner.finished(task)
        assert runner.state.trials[task].status is TrialStatus.FINISHED


def test_study_that_the_user_stops_ends_its_training(tmp_path: Path) -> None:
    plan = plan_of()
    with begin(tmp_path / "study", plan) as journal:
        StopRequests(journal.folder).add(WHOLE_STUDY)
        runner = runner_on(journal, plan)
        assert runner.should_end() and runner.budget_over is None


@pytest.fixture
def gains(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of trials for which a gain was estimated; it is below the noise from the third trial on."""
    asked: list[int] = []

    def expected_gain(program: SearchProgram, trials: Sequence[object]) -> Gain:
        asked.append(len(trials))
        return Gain(expected=0.05 if len(trials) < 3 else 0.01, trials=10, noise=0.03)

    monkeypatch.setattr(SearchProgram, "expected_gain", expected_gain)
    return asked


def test_search_ends_when_further_trials_are_unlikely_to_gain_and_that_stands_in_the_journal(
    tmp_path: Path, gains: list[int]
) -> None:
    plan = plan_of(30, stop_when="unlikely")
    with begin(tmp_path / "study", plan) as journal:
        while runner_on(journal, plan).next_spec() is not None:
            train(runner_on(journal, plan), 0.1)
        ended = runner_on(journal, plan)
        assert ended.complete and ended.ended_as_unlikely
        assert len(ended.state.trials) == 3 + UNLIKELY - 1
        assert gains == list(range(3 + UNLIKELY)), "no estimate is made again after a restart"
        estimates = [event for event in journal.events() if isinstance(event, GainEstimated)]
        assert [estimate.proposed for estimate in estimates] == gains

        journal.append(StageAsked(stage="bayes", settings={}))
        journal.append(StageExtended(stage="bayes", settings={}, trials=30))
        assert runner_on(journal, plan_of(30)).next_spec() is not None


def test_search_without_that_rule_only_records_the_estimates(tmp_path: Path, gains: list[int]) -> None:
    plan = plan_of(3 + UNLIKELY)
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        while (task := runner.next_spec()) is not None:
            assert isinstance(task, TrialSpec)
            runner.reported(task.trial, report(2, 0.1))
            runner.finished(task.trial)
        assert len(runner.state.trials) == 3 + UNLIKELY and not runner.ended_as_unlikely
        assert runner.state.stages["bayes"].unlikely >= UNLIKELY

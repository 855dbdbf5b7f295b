"""Stages that end early: by a budget, by their user, and when further trials are unlikely to gain."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from stage_runner import begin, next_spec, plan_of, report, runner_on, train

from hpo.journal.events import (
    BudgetSet,
    GainEstimated,
    StageAsked,
    StageExtended,
    StageFinished,
    StageRetried,
    TrialStopped,
)
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState
from hpo.journal.stage_state import UNLIKELY
from hpo.journal.trial_state import TrialStatus
from hpo.programs.search import SearchProgram
from hpo.search.searcher import Gain
from hpo.study.plan import StudyPlan
from hpo.study.running.stop_requests import WHOLE_STUDY, StopRequests
from hpo.trial.specification import TrialSpec


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


def test_budget_is_not_over_while_a_trial_runs_that_may_still_end_in_time(tmp_path: Path) -> None:
    plan = plan_of()
    with with_budget(tmp_path / "study", plan, 10) as journal:
        clock = Clock()
        runner = runner_on(journal, plan, clock)
        task = next_spec(runner)
        clock.wait(8)
        assert runner.next_spec() is None and runner.budget_over is None
        runner.failed(task.trial, "no memory")
        assert runner.budget_over is not None


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
        ends = [event for event in journal.events() if isinstance(event, TrialStopped)]
        assert [(end.trial, end.score, end.reason) for end in ends] == [
            (first, 0.2, "the budget of 1 h is over"),
            (second, None, "the budget of 1 h is over"),
        ]


def test_trial_that_the_user_stops_ends_with_its_best_validation_once_its_process_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.study.running.stop_requests._LOOK_EVERY_S", 0.0)
    plan = plan_of(epochs=6)
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        task, other = next_spec(runner).trial, next_spec(runner).trial
        StopRequests(journal.folder).add(task)
        assert runner.to_stop() == [task]
        # Validations that were on their way still count.
        assert runner.reported(task, report(1, 0.4)) and runner.reported(task, report(2, 0.3))
        runner.stopped(task)
        trial = runner.state.trials[task]
        assert (trial.status, trial.reason, trial.score) == (TrialStatus.STOPPED, "stopped by the user", 0.4)
        assert runner.to_stop() == [] and not StopRequests(journal.folder).has(task)
        assert not runner.state.trials[other].has_ended


def test_trial_that_the_user_stops_before_its_first_validation_has_no_score(tmp_path: Path) -> None:
    plan = plan_of(trials=2)
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        task = next_spec(runner)
        StopRequests(journal.folder).add(task.trial)
        runner.stopped(task.trial)
        trial = StudyState.replay(journal.events()).trials[task.trial]
        assert (trial.status, trial.score, trial.reason) == (TrialStatus.STOPPED, None, "stopped by the user")
        train(runner, 0.3)
        assert runner.complete
        assert [best.name for best in runner.state.ranked("bayes")] == ["bayes-0002"]


def test_request_that_a_killed_process_left_ends_the_trial_before_anything_is_trained(tmp_path: Path) -> None:
    plan = plan_of(epochs=6)
    with begin(tmp_path / "study", plan) as journal:
        before = runner_on(journal, plan)
        scored, unscored, other = (next_spec(before).trial for _ in range(3))
        before.reported(scored, report(1, 0.4))
        for task in (scored, unscored):
            StopRequests(journal.folder).add(task)
        resumed = runner_on(journal, plan)
        assert next_spec(resumed).trial == other
        ends = {name: resumed.state.trials[name].score for name in (scored, unscored)}
        assert ends == {scored: 0.4, unscored: None}


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


def test_proposals_without_a_new_score_between_them_have_one_estimate(
    tmp_path: Path, gains: list[int]
) -> None:
    plan = plan_of(30, stop_when="unlikely")
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        for _ in range(3):
            train(runner, 0.1)
        running = [next_spec(runner).trial for _ in range(2 * UNLIKELY)]
        assert gains == [0, 1, 2, 3]
        runner.reported(running[0], report(2, 0.1))
        runner.finished(running[0])
        next_spec(runner)
        assert gains == [0, 1, 2, 3, 3 + 2 * UNLIKELY]


@pytest.mark.parametrize(("trials", "ends"), [(30, True), (40, False)])
def test_search_that_gets_that_rule_ends_where_it_would_have_unless_it_gets_trials_too(
    tmp_path: Path, gains: list[int], trials: int, ends: bool
) -> None:
    with begin(tmp_path / "study", plan_of(30)) as journal:
        journal.append(StageAsked(stage="bayes", settings={"trials": 30, "stop_when": "never"}))
        without_rule = runner_on(journal, plan_of(30))
        for _ in range(3 + UNLIKELY):
            train(without_rule, 0.1)
        settings = {"trials": trials, "stop_when": "unlikely"}
        journal.append(StageExtended(stage="bayes", settings=settings, trials=trials))
        runner = runner_on(journal, plan_of(trials, stop_when="unlikely"))
        assert (runner.next_spec() is None) == runner.complete == ends


def test_retry_of_a_search_that_the_rule_has_ended_trains_the_failed_trials_only(
    tmp_path: Path, gains: list[int]
) -> None:
    plan = plan_of(30, stop_when="unlikely")
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        runner.failed(next_spec(runner).trial, "no memory")
        for _ in range(1 + UNLIKELY):
            train(runner, 0.1)
        assert runner.next_spec() is None and runner.ended_as_unlikely
        journal.append(StageFinished(stage="bayes", best_trial="bayes-0002"))
        journal.append(StageRetried(stage="bayes"))
        assert train(runner_on(journal, plan), 0.1) == "bayes-0001"
        assert runner_on(journal, plan).complete

from pathlib import Path

import pytest
from calf_plan import calf_plan
from stage_runner import SPACE, begin, next_spec, plan_of, report, runner_on, train

from hpo.config.environment import read_environment
from hpo.journal.events import (
    TrialFinished,
    TrialReported,
    TrialStarted,
    TrialStopped,
)
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState
from hpo.journal.trial_state import TrialStatus
from hpo.study.plan import StageRequest, StudyPlan, stage_settings
from hpo.study.running.runner import FAILURES_ALIKE, StageRunner
from hpo.trial import in_training
from hpo.trial.files import IN_TRAINING
from hpo.trial.report import Report
from hpo.trial.specification import TrialSpec
from model.errors import ConfigError


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


def test_processes_compare_their_code_with_that_of_the_study(tmp_path: Path) -> None:
    plan = plan_of()
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        assert next_spec(runner).code == runner.state.created.code_digest != ""
        error = runner.code_changed()
    assert error.message.startswith("the code of hpo changed since study ")
    assert "--fork NEW" in error.details["fix"]


def interrupted(journal: Journal, plan: StudyPlan, *, epoch: int) -> TrialSpec:
    """A trial of a session that was killed after its validation at ``epoch``."""
    runner = runner_on(journal, plan)
    spec = next_spec(runner)
    runner.started(spec.trial)
    runner.reported(spec.trial, report(epoch, 0.2))
    return spec


def test_trials_that_were_running_come_first_and_know_what_they_reported(tmp_path: Path) -> None:
    plan = plan_of()
    with begin(tmp_path / "study", plan) as journal:
        running = interrupted(journal, plan, epoch=1)
        again = next_spec(runner_on(journal, plan))
        assert (again.trial, again.parameters, again.reported_epoch) == (running.trial, running.parameters, 1)


def test_death_with_an_earlier_session_accuses_no_trial_of_this_one(tmp_path: Path) -> None:
    plan = plan_of()
    with begin(tmp_path / "study", plan) as journal:
        folder = Path(interrupted(journal, plan, epoch=1).folder)
        folder.mkdir(parents=True)
        (folder / IN_TRAINING).touch()
        runner_on(journal, plan)
        assert in_training.read(folder) is None


def test_trial_killed_between_its_last_validation_and_its_end_is_finished(tmp_path: Path) -> None:
    plan = plan_of()
    with begin(tmp_path / "study", plan) as journal:
        trained = interrupted(journal, plan, epoch=plan.study.training.epochs)
        resumed = runner_on(journal, plan)
        assert resumed.state.trials[trained.trial].status is TrialStatus.FINISHED
        assert resumed.state.trials[trained.trial].score == 0.2
        assert next_spec(resumed).trial != trained.trial


@pytest.mark.parametrize(("host", "told"), [("laptop", ["laptop"]), ("", ["", "node7"])])
def test_machine_of_a_trial_is_recorded_when_it_is_known(tmp_path: Path, host: str, told: list[str]) -> None:
    plan = plan_of()
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan, host=host)
        task = next_spec(runner)
        runner.started(task.trial)
        for _ in range(2):
            runner.trained_on(task.trial, host or "node7")
        assert [event.host for event in journal.events() if isinstance(event, TrialStarted)] == told
        assert runner.state.trials[task.trial].host == told[-1]


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


def test_what_a_proposal_waits_for_is_asked_before_each_new_trial_only(tmp_path: Path) -> None:
    plan, known_at = plan_of(trials=2), []
    with begin(tmp_path / "study", plan) as journal:
        interrupted = next_spec(runner_on(journal, plan)).trial
        runner = runner_on(
            journal, plan, before_proposal=lambda: known_at.append(len(runner.state.tally("bayes").ended))
        )
        assert train(runner, 0.1) == interrupted
        assert known_at == []
        train(runner, 0.2)
        assert known_at == [1]


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


def test_stage_whose_trials_all_fail_for_the_same_reason_stops(tmp_path: Path) -> None:
    plan = plan_of(trials=9)
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        for _ in range(FAILURES_ALIKE):
            runner.failed(next_spec(runner).trial, "NameError: name 'seeed' is not defined")
        assert runner.fails_alike and runner.next_spec() is None and not runner.complete
        # Whoever resumes it wants more trials.
        assert runner_on(journal, plan).next_spec() is not None


@pytest.mark.parametrize("reasons", [("out of memory",) * 4 + ("diverged",), ("diverged",) * 4])
def test_stage_goes_on_after_different_or_few_failures(tmp_path: Path, reasons: tuple[str, ...]) -> None:
    plan = plan_of(trials=9)
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        for reason in reasons:
            runner.failed(next_spec(runner).trial, reason)
        assert runner.next_spec() is not None


def test_stage_with_a_score_goes_on_whatever_fails(tmp_path: Path) -> None:
    plan = plan_of(trials=9)
    with begin(tmp_path / "study", plan) as journal:
        runner = runner_on(journal, plan)
        train(runner, 0.5)
        for _ in range(FAILURES_ALIKE):
            runner.failed(next_spec(runner).trial, "diverged")
        assert runner.next_spec() is not None

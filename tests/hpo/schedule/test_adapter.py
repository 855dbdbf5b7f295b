"""The adapter to Ray Tune, without Tune: what the study is told and what Tune is answered."""

import math
import os
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayTaskError
from ray.tune import PlacementGroupFactory
from ray.tune.utils import flatten_dict

from hpo.schedule.adapter import StudyCallback, StudyScheduler, StudyStopper
from hpo.schedule.hang_detector import HangDetector
from hpo.schedule.interruption import Interrupter
from hpo.schedule.local_ray import WorkersLostError
from hpo.schedule.trial_source import Pause
from hpo.trial.files import IN_TRAINING
from hpo.trial.report import Report
from hpo.trial.specification import TrialSpec
from hpo.trial.trainable import RESTART_S
from model.errors import StorageError, UserError


@pytest.fixture
def trial() -> Any:
    return SimpleNamespace(
        config={"spec": {"trial": "bayes-0001", "folder": "/no/folder"}},
        run_metadata=SimpleNamespace(),
        num_failures=3,
        get_pickled_error=lambda: None,
        max_failures=2,
        temporary_state=SimpleNamespace(ray_actor="actor"),
        placement_group_factory=PlacementGroupFactory([{"CPU": 1}]),
    )


class Source:
    """Notes what it hears; lets trials go on or not."""

    def __init__(self, *, goes_on: bool = True) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.requested: list[str] = []
        self._goes_on = goes_on

    def next_spec(self) -> TrialSpec | Pause | None:
        return None

    def should_end(self) -> bool:
        return not self._goes_on

    def to_stop(self) -> list[str]:
        return self.requested

    def started(self, trial: str) -> None:
        self.heard.append(("started", trial))

    def trained_on(self, trial: str, host: str) -> None:
        self.heard.append(("trained on", trial, host))

    def reported(self, trial: str, report: Report) -> bool:
        self.heard.append(("reported", trial, report))
        return self._goes_on

    def finished(self, trial: str) -> None:
        self.heard.append(("finished", trial))

    def stopped(self, trial: str) -> None:
        self.heard.append(("stopped", trial))

    def failed(self, trial: str, reason: str) -> None:
        self.heard.append(("failed", trial, reason))

    def code_changed(self) -> UserError:
        return UserError("no room for other code")

    def add_note(self, message: str) -> None:
        self.heard.append(("noted", message))


class Pool:
    """Notes which trials it is told to let go."""

    def __init__(self) -> None:
        self.released: list[str] = []
        self.restarted: list[str] = []
        self.homes: dict[str, str] = {}

    def release(self, trial: str) -> None:
        self.released.append(trial)

    def home(self, trial: str) -> str:
        return self.homes.get(trial, "array-0")

    def record_move(self, trial: str, name: str) -> None:
        self.homes[trial] = name

    def home_of(self, name: str) -> dict[str, Any]:
        return {"array": name, "other_arrays": ["another"]}

    def restart(self, trials: Iterable[str]) -> None:
        self.restarted += list(trials)


def result(*, finished: bool) -> dict[str, Any]:
    metrics = [("average_map", 0.5), ("ap/goal", 0.25)]
    common = {"epoch": 4, "metrics": metrics, "train_s": 2.0, "score": 0.5}
    common |= {"host": "node7", "notes": ["array of 2"]}
    return {**common, "finished": finished, "ended": finished, "done": finished}


def callback(source: Source, pool: Pool | None, *, hangs_after_s: float | None = None) -> StudyCallback:
    detector = HangDetector(source, pool, limit_s=hangs_after_s)
    return StudyCallback(source, pool, detector, Interrupter(source))


def scheduler(source: Source, pool: Pool) -> StudyScheduler:
    return StudyScheduler(source, pool, Interrupter(source))


class Clock:
    """Says what time it is, and which processes were killed."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now, self.killed = 0.0, 0
        patch.setattr("hpo.schedule.hang_detector.time.monotonic", lambda: self.now)
        patch.setattr("ray.kill", self._kill)

    def _kill(self, actor: object) -> None:
        self.killed += actor == "actor"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


REPORT = Report(4, {"average_map": 0.5, "ap/goal": 0.25}, 2.0, 0.5)


@pytest.mark.parametrize(("goes_on", "answer"), [(True, "CONTINUE"), (False, "STOP")])
def test_scheduler_passes_a_validation_on_and_answers_as_the_feed_does(
    goes_on: bool, answer: str, trial: Any
) -> None:
    source, pool = Source(goes_on=goes_on), Pool()
    flat = flatten_dict(result(finished=False))  # as Tune hands it to schedulers
    assert scheduler(source, pool).on_trial_result(None, trial, flat) == answer
    placed = ("trained on", "bayes-0001", "node7")
    assert source.heard == [("noted", "array of 2"), placed, ("reported", "bayes-0001", REPORT)]
    # Tune keeps the process of a stopped trial for later: its array must not wait for it.
    assert pool.released == ([] if goes_on else ["bayes-0001"])


MOVED = {"moved": "array-1", "score": math.nan, "ended": False, "done": False}


def test_trial_that_moves_to_another_array_is_told_and_stays_there(trial: Any) -> None:
    source, pool = Source(), Pool()
    trial.config |= {"array": "array-0", "other_arrays": ["array-1"]}
    assert scheduler(source, pool).on_trial_result(None, trial, MOVED) == "CONTINUE"
    assert (trial.config["array"], pool.home("bayes-0001")) == ("array-1", "array-1")
    assert source.heard[0][1].startswith("bayes-0001 moved to another array") and len(source.heard) == 1


@pytest.mark.parametrize("goes_on", [True, False])
def test_all_training_ends_when_the_study_says_so(goes_on: bool) -> None:
    stopper = StudyStopper(Source(goes_on=goes_on))
    assert stopper.stop_all() is not goes_on
    assert not stopper("trial", {})


def test_last_validation_and_failures_end_a_trial(trial: Any) -> None:
    source, pool = Source(), Pool()
    tune = scheduler(source, pool)
    assert tune.on_trial_result(None, trial, result(finished=True)) == "STOP"
    assert source.heard[2:] == [("reported", "bayes-0001", REPORT), ("finished", "bayes-0001")]
    failure = {"failed": "NaN", "notes": ["of the device"], "ended": True}
    assert tune.on_trial_result(None, trial, failure) == "STOP"
    callback(source, pool).on_trial_error(1, [], trial)
    assert pool.released == 3 * ["bayes-0001"]
    assert source.heard[4:] == [
        ("noted", "of the device"),
        ("failed", "bayes-0001", "NaN"),
        ("failed", "bayes-0001", "the process of the trial died 3 times"),
    ]


@pytest.mark.parametrize(
    ("failures", "error", "reason"),
    [
        (3, None, "the process of the trial died 3 times: the device failed (CUDA error)"),
        (1, None, "the process of the trial died once: the device failed (CUDA error)"),
        (1, RayTaskError("reset", "", OSError("lost")), "the process of the trial failed: OSError: lost"),
    ],
)
def test_process_that_ended_is_told_with_the_reason(
    tmp_path: Path, trial: Any, failures: int, error: Exception | None, reason: str
) -> None:
    (tmp_path / IN_TRAINING).write_text("the device failed (CUDA error)")
    trial.config = {"spec": {"trial": "bayes-0001", "folder": str(tmp_path)}}
    trial.num_failures, trial.get_pickled_error = failures, lambda: error
    source = Source()
    callback(source, Pool()).on_trial_error(1, [], trial)
    assert source.heard == [("failed", "bayes-0001", reason)]


def test_trial_that_should_end_now_loses_its_process_for_good(clock: Clock, trial: Any) -> None:
    source, pool = Source(), Pool()
    interrupter = Interrupter(source)
    detector = HangDetector(source, pool, limit_s=10)
    tune = StudyCallback(source, pool, detector, interrupter)
    tasks = StudyScheduler(source, pool, interrupter)
    source.requested = ["bayes-0001", "bayes-0002"]
    tune.on_step_end(1, [])
    assert clock.killed == 0  # its process has not started
    tune.on_trial_start(1, [], trial)
    tune.on_step_end(1, [])
    tune.on_step_end(1, [])
    assert clock.killed == 1 and trial.max_failures == 0
    # Results that were on their way count, but Tune must not give the process to another trial.
    for finished in (False, True):
        assert tasks.on_trial_result(None, trial, result(finished=finished)) == "CONTINUE"
        tune.on_trial_result(1, [], trial, {**result(finished=finished), "done": False})
    clock.now += 11
    tune.on_step_end(1, [])
    assert clock.killed == 1  # it does not hang
    tune.on_trial_error(1, [], trial)
    kinds = [words[0] for words in source.heard if words[0] not in ("noted", "trained on")]
    assert kinds == ["started", "reported", "reported", "finished", "stopped"]
    assert pool.released[-1] == "bayes-0001"


def test_trial_has_left_its_array_before_the_study_removes_its_files(
    monkeypatch: pytest.MonkeyPatch, trial: Any
) -> None:
    source, pool = Source(), Pool()
    monkeypatch.setattr(pool, "release", lambda trial: source.heard.append(("released", trial)))
    callback(source, pool).on_trial_error(1, [], trial)
    assert [words[0] for words in source.heard] == ["released", "failed"]


def test_tune_keeps_only_the_name_of_a_trial_that_has_ended(trial: Any) -> None:
    kept = {"metric_analysis": {"score": {}}, "metric_n_steps": {"score": {}}, "last_result": {"a": 1}}
    trial.run_metadata = SimpleNamespace(**kept)
    trial.evaluated_params, trial.experiment_tag = {"a": 1}, "1_a=1"
    callback(Source(), Pool()).on_trial_complete(1, [], trial)
    assert trial.config["spec"] == {"trial": "bayes-0001"}
    assert not any((trial.evaluated_params, trial.experiment_tag, *vars(trial.run_metadata).values()))


def test_trials_that_need_the_same_share_one_description_of_it(trial: Any) -> None:
    tune, needed = callback(Source(), Pool()), PlacementGroupFactory([{"CPU": 1}])
    other: Any = SimpleNamespace(**{**vars(trial), "placement_group_factory": needed})
    for each in (trial, other):
        tune.on_trial_start(1, [], each)
    assert trial.placement_group_factory is other.placement_group_factory


@pytest.mark.parametrize(
    ("kind", "error"),
    [("unwritable", StorageError), ("lost", WorkersLostError), ("changed", UserError)],
)
def test_full_disk_other_code_or_the_loss_of_all_arrays_ends_all_training_and_fails_no_trial(
    kind: str, error: type[Exception], trial: Any
) -> None:
    source = Source()
    with pytest.raises(error, match="no room"):
        scheduler(source, Pool()).on_trial_result(None, trial, {kind: "no room", "ended": True})
    assert source.heard == []


def test_trial_that_hangs_is_killed_tried_once_more_and_then_failed(clock: Clock, trial: Any) -> None:
    source = Source()
    tune = callback(source, None, hangs_after_s=10)
    for tries in (1, 2):
        tune.on_trial_start(1, [], trial)
        clock.now += 9
        tune.on_step_end(1, [])
        tune.on_trial_result(1, [], trial, result(finished=False))
        clock.now += 9
        tune.on_step_end(1, [])
        assert clock.killed == tries - 1
        clock.now += 2
        tune.on_step_end(1, [])
        tune.on_trial_recover(1, [], trial)
        clock.now += 99  # until its new process starts nothing is expected of it
        tune.on_step_end(1, [])
        assert clock.killed == tries
        assert trial.max_failures == (2 if tries == 1 else 0)
    tune.on_trial_error(1, [], trial)
    told = [words for words in source.heard if words[0] != "started"]
    killed = "Its process was killed, and the trial resumes from its checkpoint"
    assert told == [
        ("noted", f"bayes-0001 hung: no validation for 10 s. {killed}"),
        ("failed", "bayes-0001", "the trial hung 2 times: no validation for 10 s"),
    ]


class Company:
    """Trials in arrays; notes their hangs."""

    def __init__(self, folder: Path, clock: Clock, homes: dict[str, str]) -> None:
        self.clock, self.source, self.pool = clock, Source(), Pool()
        self.folder, self.pool.homes = folder, homes
        self.tune = callback(self.source, self.pool, hangs_after_s=10)
        self.trials: dict[str, Any] = {}
        for name in homes:
            (folder / name).mkdir()
            spec = {"trial": name, "folder": str(folder / name)}
            self.trials[name] = SimpleNamespace(
                config={"spec": spec}, placement_group_factory=PlacementGroupFactory([{"CPU": 1}])
            )
            self.tune.on_trial_start(1, [], self.trials[name])

    def validates(self, name: str) -> None:
        self.tune.on_trial_result(1, [], self.trials[name], result(finished=False))

    def pass_s(self, seconds: float) -> None:
        self.clock.now += seconds
        for mark in self.folder.glob(f"*/{IN_TRAINING}"):
            os.utime(mark, times=2 * (mark.stat().st_mtime - seconds,))
        self.tune.on_step_end(1, [])

    @property
    def notes(self) -> list[str]:
        return [words[1] for words in self.source.heard if words[0] == "noted"]


def test_hanging_array_is_restarted_and_the_trials_in_training_get_the_reason(
    tmp_path: Path, clock: Clock
) -> None:
    company = Company(tmp_path, clock, {"a": "array-0", "b": "array-0", "c": "array-1"})
    for tries in (1, 2, 3):  # the callers of the trials count the deaths of their process
        (tmp_path / "b" / IN_TRAINING).write_text("")
        company.pass_s(6)
        company.validates("c")
        company.pass_s(5)
        company.validates("c")
        assert company.pool.restarted == tries * ["a", "b"]
        assert company.notes == tries * ["b hung: no validation for 10 s. Its process was killed"]
        assert (tmp_path / "b" / IN_TRAINING).read_text() == "no validation for 10 s"
    assert company.clock.killed == 0 and not (tmp_path / "a" / IN_TRAINING).exists()


def test_array_that_was_restarted_has_more_time_to_begin(tmp_path: Path, clock: Clock) -> None:
    """Each restart would begin the start again."""
    company = Company(tmp_path, clock, {"a": "array-0", "b": "array-0"})
    company.pass_s(11)
    assert company.pool.restarted == ["a", "b"] and len(company.notes) == 2
    company.pass_s(RESTART_S + 9)
    (tmp_path / "a" / IN_TRAINING).write_text("")
    company.pass_s(9)
    assert company.pool.restarted == ["a", "b"]
    company.pass_s(2)
    assert company.pool.restarted == 2 * ["a", "b"] and len(company.notes) == 3


def test_trial_that_waits_while_others_of_its_array_train_alone_does_not_hang(
    tmp_path: Path, clock: Clock
) -> None:
    company = Company(tmp_path, clock, {"a": "array-0", "b": "array-0"})
    for _ in range(3):
        company.pass_s(6)
        company.validates("a")
    assert company.pool.restarted == []


def test_trial_that_moved_and_hangs_before_its_next_validation_is_killed_where_it_is(
    tmp_path: Path, clock: Clock
) -> None:
    company = Company(tmp_path, clock, {"a": "array-0", "b": "array-0"})
    scheduler(company.source, company.pool).on_trial_result(None, company.trials["a"], MOVED)
    for _ in range(2):
        company.pass_s(6)
        company.validates("b")
    assert company.pool.restarted == ["a"] and company.pool.homes["a"] == "array-1"


def test_trial_without_a_process_does_not_hang(clock: Clock, trial: Any) -> None:
    tune = callback(Source(), Pool(), hangs_after_s=10)
    tune.on_trial_start(1, [], trial)
    tune.on_trial_result(1, [], trial, result(finished=True))
    clock.now += 11
    tune.on_step_end(1, [])
    assert clock.killed == 0


def test_process_that_dies_is_told_and_its_trial_does_not_hang(clock: Clock, trial: Any) -> None:
    source = Source()
    tune = callback(source, Pool(), hangs_after_s=10)
    tune.on_trial_start(1, [], trial)
    tune.on_trial_recover(1, [], trial)
    clock.now += 11
    tune.on_step_end(1, [])
    assert clock.killed == 0
    told = "the process of bayes-0001 died; the trial resumes from its checkpoint"
    assert source.heard == [("started", "bayes-0001"), ("noted", told)]

"""That no kill, no deletion and no failure of MLflow changes what is recorded."""

import dataclasses
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow_record import client_of, everything_in, experiment_of, record, runs_of, tracker_of
from waiting import wait_until

from hpo.config.environment import Environment
from hpo.journal.events import StageRetried, TrialReported
from hpo.journal.journal import read_journal
from hpo.tracking import experiment
from hpo.tracking.follower import Follower, Projection

FOLLOW = """
import sys
from pathlib import Path
from hpo.config.environment import read_environment
from hpo.tracking import follower
from hpo.tracking.follower import Follower
from hpo.tracking.mlflow_tracker import MlflowTracker

follower.EVENTS_A_SAVE = 3

class Telling(MlflowTracker):
    def save(self, recorded):
        super().save(recorded)
        print("saved", flush=True)

folder = Path(sys.argv[1])
tracker = Telling(
    read_environment({"HPO_RUNS": sys.argv[2]}),
    dataset="wyscout/EVENTS",
    fixed={"tau_max": 0.9, "f": 1, "K4_frames.goal": 90.0},
    files_of=lambda trial: [folder / "config.json", folder / "best.pt", folder / "missing.txt"],
)
print(Follower(folder, tracker).start().close(60))
"""


class Killed(BaseException):
    """The process would be gone."""


def test_two_studies_of_one_name_do_not_mix(study: Any, environment: Environment, tmp_path: Path) -> None:
    record(study.whole(), environment)
    other = type(study)(tmp_path / "elsewhere" / study.name)
    other.create()
    other.ask("bayes-0000", f=4)
    record(other, environment)
    assert set(runs_of(other, environment)) == {"bayes", "bayes-0000"}
    assert len(runs_of(study, environment)) == 4
    assert experiment_of(other, environment).name.startswith(f"{study.name}-")


def test_a_run_that_a_person_deleted_stays_deleted(study: Any, environment: Environment) -> None:
    study.create()
    study.first_trial()
    record(study, environment)
    client_of(environment).delete_run(runs_of(study, environment)["bayes-0000"].info.run_id)
    study.failing_trial()
    study.interrupted_trial()
    study.resumed_trial()
    record(study, environment)
    assert set(runs_of(study, environment)) == {"bayes", "bayes-0001", "bayes-0002"}


def test_a_run_deleted_while_its_trial_trains_does_not_hold_up_the_others(
    follow: Callable[..., Follower], study: Any, environment: Environment
) -> None:
    study.create()
    study.ask("bayes-0000", f=4)
    follower = follow(study.folder, tracker_of(study, environment), poll_s=0.02)
    wait_until(lambda: not follower._projection.events_left(), timeout_s=20)
    client_of(environment).delete_run(runs_of(study, environment)["bayes-0000"].info.run_id)
    study.start("bayes-0000")
    study.report("bayes-0000", 20, 0.1)
    study.failing_trial()
    report = follower.close(20)
    assert (report.events_left, report.failure, report.refused) == (0, None, ())
    assert runs_of(study, environment)["bayes-0001"].info.status == "FAILED"


def test_an_experiment_that_a_person_deleted_is_told(study: Any, environment: Environment) -> None:
    study.create()
    record(study, environment)
    found = experiment_of(study, environment)
    client_of(environment).delete_experiment(found.experiment_id)
    with pytest.raises(LookupError, match="was deleted in MLflow; restore it there"):
        record(study, environment)
    client_of(environment).restore_experiment(found.experiment_id)
    study.first_trial()
    record(study, environment)
    assert set(runs_of(study, environment)) == {"bayes", "bayes-0000"}


def test_another_store_gets_the_whole_study(
    study: Any, environment: Environment, copy_of_store: Callable[[Path], Environment], tmp_path: Path
) -> None:
    before = copy_of_store(tmp_path / "other-runs")
    record(study.whole(), environment)
    record(study, before)
    assert everything_in(study, before) == everything_in(study, environment)


def test_a_store_that_could_not_be_reached_gets_everything_once_it_can(
    follow: Callable[..., Follower],
    study: Any,
    environment: Environment,
    copy_of_store: Callable[[Path], Environment],
    tmp_path: Path,
) -> None:
    record(study.whole(), environment)
    runs = tmp_path / "other-runs"
    runs.write_text("a file stands where the folder should be")
    there = dataclasses.replace(environment, runs=runs, tracking_uri=f"sqlite:///{runs / 'mlflow.db'}")
    follower = follow(study.folder, tracker_of(study, there), poll_s=0.02, longest_wait_s=0.1)
    wait_until(lambda: follower.failure, timeout_s=20)
    assert "cannot create the MLflow store: File exists" in str(follower.failure)
    runs.unlink()
    copy_of_store(runs)
    report = follower.close(30)
    assert (report.events_left, report.failure, report.refused) == (0, None, ())
    assert everything_in(study, there) == everything_in(study, environment)


class MortalClient:
    """An MLflow client whose process is killed before a given change."""

    CHANGES = ("create_", "log_", "set_", "update_")

    def __init__(self, client: MlflowClient, changes: int) -> None:
        self.client = client
        self.changes_left = changes

    def __getattr__(self, name: str) -> Any:
        if name.startswith(self.CHANGES):
            self.changes_left -= 1
            if self.changes_left < 0:
                raise Killed
        return getattr(self.client, name)


def test_a_follower_killed_before_any_change_leaves_no_trace_of_it(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, study: Any
) -> None:
    def short_study(name: str) -> Any:
        short = type(study)(tmp_path / name)
        short.create()
        short.failing_trial()
        short.append(StageRetried, stage="bayes")
        short.report("bayes-0001", 10, 0.25)
        short.finish("bayes-0001", 10, 0.25)
        short.end("bayes-0001")
        return short

    client = client_of(environment)
    alone = short_study("alone")
    counting = MortalClient(client, 10_000)
    monkeypatch.setattr(experiment, "connect", lambda uri: counting)
    record(alone, environment)
    expected, changes = everything_in(alone, environment), 10_000 - counting.changes_left
    assert changes > 12
    for before in range(changes):
        killed = short_study(f"killed-before-{before}")
        mortal = MortalClient(client, before)
        monkeypatch.setattr(experiment, "connect", lambda uri, mortal=mortal: mortal)
        with pytest.raises(Killed):
            record(killed, environment)
        monkeypatch.setattr(experiment, "connect", lambda uri: client)
        record(killed, environment)
        assert everything_in(killed, environment) == expected, f"killed before change {before}"


class CountingClient:
    """An MLflow client that counts its calls, and refuses one epoch permanently."""

    def __init__(self, client: MlflowClient, refused_epoch: int | None = None) -> None:
        self.client = client
        self.refused_epoch = refused_epoch
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self.client, name)

    def log_batch(self, run: str, metrics: Any, params: Any, tags: Any) -> None:
        self.calls["log_batch"] += 1
        if any(metric.step == self.refused_epoch for metric in metrics):
            raise MlflowException("no such epoch", INVALID_PARAMETER_VALUE)
        self.client.log_batch(run, metrics=metrics, params=params, tags=tags)


def test_events_of_a_run_are_written_in_one_request(
    study: Any, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = CountingClient(client_of(environment))
    monkeypatch.setattr(experiment, "connect", lambda uri: client)
    study.whole()
    record(study, environment)
    assert client.calls["create_run"] == client.calls["log_batch"] == client.calls["set_terminated"] == 4
    assert client.calls["update_run"] == client.calls["set_tag"] == 0


def test_refused_record_among_many_is_told_by_its_event_and_all_others_are_kept(
    study: Any, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    picky = CountingClient(client_of(environment), refused_epoch=60)
    monkeypatch.setattr(experiment, "connect", lambda uri: picky)
    study.whole()
    projection = Projection(study.folder, tracker_of(study, environment))
    projection.advance()
    number = next(
        number
        for number, event in enumerate(read_journal(study.folder).events, start=1)
        if isinstance(event, TrialReported) and event.epoch == 60
    )
    assert projection.refused == (f"TrialReported (journal line {number}): no such epoch",)
    assert projection.events_left() == 0
    runs = runs_of(study, environment)
    assert {name: run.info.status for name, run in runs.items()} == {
        "bayes": "FINISHED",
        "bayes-0000": "FINISHED",
        "bayes-0001": "FAILED",
        "bayes-0002": "FINISHED",
    }
    steps = [
        metric.step for metric in picky.get_metric_history(runs["bayes-0002"].info.run_id, "average_map")
    ]
    assert sorted(steps) == [20, 40]


def test_attempts_at_a_trial_do_not_mix_when_refused_records_are_sent_again_one_by_one(
    study: Any, environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def retried(study: Any) -> Any:
        study.whole()
        study.append(StageRetried, stage="bayes")
        study.report("bayes-0001", 10, 0.25)
        study.finish("bayes-0001", 10, 0.25)
        return study

    accepted = retried(type(study)(tmp_path / "accepted"))
    record(accepted, environment)
    picky = CountingClient(client_of(environment), refused_epoch=60)
    monkeypatch.setattr(experiment, "connect", lambda uri: picky)
    projection = Projection(retried(study).folder, tracker_of(study, environment))
    projection.advance()
    assert len(projection.refused) == 1 and not projection.events_left()
    expected, found = everything_in(accepted, environment), everything_in(study, environment)
    for run in ("bayes-0001", "bayes-0001 (attempt 1)"):
        assert found[run] == expected[run]


def test_a_killed_process_is_caught_up_with_and_says_nothing_of_its_own(
    study: Any, environment: Environment, tmp_path: Path
) -> None:
    uninterrupted = type(study)(tmp_path / "uninterrupted").whole()
    record(uninterrupted, environment)
    study.whole()
    command = [
        sys.executable,
        "-c",
        FOLLOW,
        str(study.folder),
        str(environment.runs),
        environment.tracking_uri,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(2)]
        process.kill()
    assert set(said) == {"saved\n"}
    assert len(runs_of(study, environment)) in (2, 3)
    record(study, environment)
    assert everything_in(study, environment) == everything_in(uninterrupted, environment)

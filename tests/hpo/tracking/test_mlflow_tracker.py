"""What a person finds in MLflow, and that no kill and no failure of MLflow changes it."""

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from hpo.config.environment import Environment
from hpo.journal.events import TrialTested
from hpo.journal.journal import read_journal
from hpo.tracking import experiment
from hpo.tracking.follower import Follower, Projection
from hpo.tracking.mlflow_tracker import MlflowTracker

FOLLOW = """
import sys
from pathlib import Path
from hpo.config.environment import read_environment
from hpo.tracking.follower import Follower
from hpo.tracking.mlflow_tracker import MlflowTracker

class Telling(MlflowTracker):
    def record(self, event, state):
        super().record(event, state)
        print("recorded", flush=True)

folder = Path(sys.argv[1])
tracker = Telling(
    read_environment({"HPO_RUNS": sys.argv[2]}),
    dataset="wyscout/EVENTS",
    fixed={"tau_max": 0.9, "f": 1, "K4_s.goal": 90.0},
    files_of=lambda trial: [folder / "config.json", folder / "best.pt", folder / "missing.txt"],
)
print(Follower(folder, tracker).close(60))
"""


class Killed(BaseException):
    """The process would be gone."""


def tracker_of(study: Any, environment: Environment) -> MlflowTracker:
    return MlflowTracker(
        environment,
        dataset="wyscout/EVENTS",
        fixed={"tau_max": 0.9, "f": 1, "K4_s.goal": 90.0},
        files_of=lambda trial: study.files,
    )


def record(study: Any, environment: Environment) -> None:
    projection = Projection(study.folder, tracker_of(study, environment))
    projection.advance()
    assert not projection.refused
    assert projection.events_left() == 0


def client_of(environment: Environment) -> MlflowClient:
    return MlflowClient(tracking_uri=environment.tracking_uri)


def experiment_of(study: Any, environment: Environment) -> Any:
    identity = read_journal(study.folder).events[0].identity  # type: ignore[attr-defined]
    [found] = client_of(environment).search_experiments(
        view_type=3, filter_string=f"tags.`hpo.identity` = '{identity}'"
    )
    return found


def runs_of(study: Any, environment: Environment) -> dict[str, Any]:
    runs = client_of(environment).search_runs([experiment_of(study, environment).experiment_id])
    assert len({run.info.run_name for run in runs}) == len(runs)
    return {run.info.run_name: run for run in runs}


def everything_in(study: Any, environment: Environment) -> dict[str, Any]:
    """All that MLflow holds of a study, run ids and the study's own name aside."""
    client, runs = client_of(environment), runs_of(study, environment)
    names = {run.info.run_id: name for name, run in runs.items()}
    return {
        name: {
            "status": (run.info.status, run.info.start_time, run.info.end_time),
            "params": run.data.params,
            "tags": {
                key: names.get(value, value.replace(study.name, "STUDY"))
                for key, value in run.data.tags.items()
                if key != "mlflow.user"
            },
            "metrics": {
                key: sorted(
                    (m.step, m.timestamp, repr(m.value))
                    for m in client.get_metric_history(run.info.run_id, key)
                )
                for key in run.data.metrics
            },
            "files": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
            "data": [(i.dataset.name, i.dataset.digest) for i in run.inputs.dataset_inputs],
        }
        for name, run in runs.items()
    }


def test_a_stage_is_a_run_and_its_trials_are_runs_below_it(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    runs = runs_of(study, environment)
    assert set(runs) == {"bayes", "bayes-0000", "bayes-0001", "bayes-0002"}
    assert experiment_of(study, environment).name == study.name
    stage = runs.pop("bayes")
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {stage.info.run_id}
    assert "mlflow.parentRunId" not in stage.data.tags


def test_runs_end_as_their_stages_and_trials_did(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    runs = runs_of(study, environment)
    statuses = {name: (run.info.status, run.data.tags["hpo.status"]) for name, run in runs.items()}
    assert statuses == {
        "bayes": ("FINISHED", "finished"),
        "bayes-0000": ("FINISHED", "finished"),
        "bayes-0001": ("FAILED", "failed"),
        "bayes-0002": ("FINISHED", "finished"),
    }
    assert runs["bayes-0001"].data.tags["hpo.reason"] == "loss is NaN at epoch 21"
    minute = 60_000
    first = runs["bayes-0000"].info
    assert first.end_time - first.start_time == 4 * minute


def test_stopped_trial_is_a_finished_run_that_says_so_and_keeps_its_files(
    study: Any, environment: Environment
) -> None:
    study.create()
    study.first_trial()
    study.stopped_trial()
    record(study, environment)
    run = runs_of(study, environment)["bayes-0003"]
    assert (run.info.status, run.data.tags["hpo.status"]) == ("FINISHED", "stopped")
    assert (run.data.metrics["score"], run.data.tags["hpo.best"]) == (0.3, "false")
    assert "**Stopped early** after 20 epochs" in run.data.tags["mlflow.note.content"]
    files = client_of(environment).list_artifacts(run.info.run_id)
    assert sorted(file.path for file in files) == ["best.pt", "config.json"]
    stage = runs_of(study, environment)["bayes"]
    assert stage.data.tags["hpo.best_trial"] == "bayes-0000"


def test_hyperparameters_stand_under_the_symbols_of_the_paper(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    assert runs_of(study, environment)["bayes-0000"].data.params == {
        "f": "16",
        "r": "80",
        "alpha2": "5.0",
        "tau_max": "0.9",
        "K4.goal": "90.0",
        "seed": "7",
    }


def test_every_validation_is_one_point_of_each_curve(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    metrics = everything_in(study, environment)["bayes-0002"]["metrics"]
    assert [(step, value) for step, _, value in metrics["average_map"]] == [
        (20, "0.3"),
        (40, "0.4"),
        (60, "0.35"),
    ]
    assert [step for step, _, _ in metrics["ap/yellow--red-card"]] == [20, 40, 60]
    assert [(step, value) for step, _, value in metrics["score"]] == [(40, "0.4")]
    assert [value for _, _, value in metrics["train_s"]] == ["60.0", "120.0", "180.0"]
    failed = everything_in(study, environment)["bayes-0001"]["metrics"]
    assert [value for _, _, value in failed["average_map"]] == ["nan"]


def test_the_best_trial_is_marked_and_its_score_is_the_stages(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    everything = everything_in(study, environment)
    marks = {name: run["tags"].get("hpo.best") for name, run in everything.items()}
    assert marks == {"bayes": None, "bayes-0000": "false", "bayes-0001": "false", "bayes-0002": "true"}
    assert everything["bayes"]["tags"]["hpo.best_trial"] == "bayes-0002"
    scores = [(step, value) for step, _, value in everything["bayes"]["metrics"]["score"]]
    assert scores == [(1, "0.2"), (3, "0.4")]


def test_scores_on_the_test_split_stand_beside_those_of_the_validation(
    study: Any, environment: Environment
) -> None:
    study.whole()
    study.append(TrialTested, trial="bayes-0002", metrics={"average_map": 0.35, "ap/goal": 0.5})
    record(study, environment)
    metrics = runs_of(study, environment)["bayes-0002"].data.metrics
    assert (metrics["test/average_map"], metrics["test/ap/goal"], metrics["score"]) == (0.35, 0.5, 0.4)


def test_a_run_says_where_it_comes_from(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    everything = everything_in(study, environment)
    for name, run in everything.items():
        assert run["data"] == [("wyscout/EVENTS", ("ab" * 32)[:36])], name
        assert run["tags"]["hpo.data_digest"] == "ab" * 32
        assert run["tags"]["hpo.code_digest"] == "cd" * 20
        assert run["tags"]["hpo.stage"] == "bayes"
    assert everything["bayes-0000"]["tags"]["hpo.versions"] == "torch 2.13, ray 2.60"
    assert everything["bayes"]["tags"]["hpo.versions"] == "torch 2.13.1"
    assert everything["bayes-0000"]["tags"]["hpo.device"] == "cpu"
    assert everything["bayes-0000"]["files"] == ["best.pt", "config.json"]
    assert everything["bayes-0001"]["files"] == []
    assert everything["bayes"]["files"] == ["settings.json", "space.json", "study.json"]
    assert everything["bayes-0000"]["tags"]["hpo.threads"] == "2"
    assert everything["bayes-0000"]["tags"]["hpo.replicate"] == "0"


def test_a_run_is_described_in_words(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    notes = {
        name: run["tags"]["mlflow.note.content"] for name, run in everything_in(study, environment).items()
    }
    assert notes["bayes-0002"] == (
        "Trial of stage `bayes` in study `STUDY`, seed 7.\n\n"
        "**Average-mAP 0.4000** on the validation split at epoch 40, after 1.5 minutes on cpu of laptop.\n\n"
        "| hyperparameter | value |\n|---|---|\n| f | 8 |\n| r_frames | 40 |\n| alpha2 | 1 |"
    )
    assert "**Failed**: loss is NaN at epoch 21" in notes["bayes-0001"]
    assert notes["bayes"].startswith(
        "Stage `bayes` of study `STUDY` over f, r: 2 of 3 trials finished, 1 failed.\n\n"
        "Best is `bayes-0002`:\n\n**Average-mAP 0.4000**"
    )


def test_the_pages_are_told_which_columns_to_show(study: Any, environment: Environment) -> None:
    study.create()
    record(study, environment)
    view = json.loads(experiment_of(study, environment).tags["mlflow.sharedViewState.bayes"])
    assert {"metrics.`score`", "params.`f`", "params.`r`", "tags.`hpo.status`"} <= set(
        view["selectedColumns"]
    )
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`score`", False)
    assert len(runs_of(study, environment)) == 1
    client = client_of(environment)
    assert client.search_runs([experiment_of(study, environment).experiment_id], view["searchFilter"])


def test_an_interrupted_study_leaves_no_run_running(study: Any, environment: Environment) -> None:
    study.create()
    study.first_trial()
    study.interrupted_trial()
    record(study, environment)
    statuses = {name: run.info.status for name, run in runs_of(study, environment).items()}
    assert statuses == {"bayes": "KILLED", "bayes-0000": "FINISHED", "bayes-0002": "KILLED"}
    study.resumed_trial()
    record(study, environment)
    runs = runs_of(study, environment)
    assert (runs["bayes"].info.status, runs["bayes"].data.tags["hpo.status"]) == ("RUNNING", "running")
    assert runs["bayes-0002"].info.status == "FINISHED"


def test_a_trial_that_waits_is_scheduled(study: Any, environment: Environment) -> None:
    study.create()
    study.ask("bayes-0000", f=16)
    record(study, environment)
    assert runs_of(study, environment)["bayes-0000"].info.status == "SCHEDULED"


def test_hundreds_of_hyperparameters_fit(study: Any, environment: Environment) -> None:
    study.create()
    study.ask("bayes-0000", **{f"K1_s.class-{number}": -20 for number in range(250)})
    record(study, environment)
    assert len(runs_of(study, environment)["bayes-0000"].data.params) == 250 + 4


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
    study: Any, environment: Environment
) -> None:
    study.create()
    study.ask("bayes-0000", f=4)
    follower = Follower(study.folder, tracker_of(study, environment), poll_s=0.02)
    deadline = time.monotonic() + 20
    while follower._projection.events_left() and time.monotonic() < deadline:
        time.sleep(0.02)
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
    study: Any, environment: Environment, copy_of_store: Callable[[Path], Environment], tmp_path: Path
) -> None:
    record(study.whole(), environment)
    runs = tmp_path / "other-runs"
    runs.write_text("a file stands where the folder should be")
    there = dataclasses.replace(environment, runs=runs, tracking_uri=f"sqlite:///{runs / 'mlflow.db'}")
    follower = Follower(study.folder, tracker_of(study, there), poll_s=0.02, longest_wait_s=0.1)
    deadline = time.monotonic() + 20
    while follower.failure is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "FileExistsError" in str(follower.failure)
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
        short.first_trial()
        short.end()
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
        said = [process.stdout.readline() for _ in range(7)]
        process.kill()
    assert set(said) == {"recorded\n"}
    assert len(runs_of(study, environment)) in (2, 3)
    record(study, environment)
    assert everything_in(study, environment) == everything_in(uninterrupted, environment)

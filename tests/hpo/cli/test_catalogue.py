"""Listing, showing, exporting, renaming, deleting and cleaning of studies, as typed."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from e2e.command_line import run_here

from hpo.cli.catalogue import export
from hpo.config.environment import Environment, read_environment
from hpo.journal.events import (
    StageAsked,
    StageFinished,
    StageStarted,
    StudyRenamed,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStarted,
)
from hpo.journal.journal import Journal, stored_creation
from hpo.journal.results import stored_state
from hpo.study.folders import study_folder
from hpo.study.plan import StudyPlan
from hpo.study.running.preparing import creation
from hpo.tracking.experiment import connect
from hpo.tracking.store import make_store
from hpo.trial.files import BEST, CHECKPOINT, ERROR, NEXT, PREVIOUS, trial_folder

UNFINISHED = (f".{NEXT}.k4w0", f".{BEST}.k4w1")
"""A checkpoint and a network whose processes were killed while they wrote."""


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("store")
    make_store(read_environment({"HPO_RUNS": str(runs)}))
    return runs / "mlflow.db"


@pytest.fixture
def environment(environment: Environment, empty_store: Path) -> Environment:
    """An environment whose store has its tables."""
    shutil.copyfile(empty_store, environment.runs / "mlflow.db")
    return environment


@pytest.fixture
def one(small_plan: StudyPlan, environment: Environment) -> Path:
    """A study with a finished and a failed trial."""
    folder = study_folder(environment, "one")
    settings = small_plan.study.stages.named("bayes").model_dump(mode="json")
    space = small_plan.task.varied(small_plan.study, "bayes", small_plan.shape)
    with Journal.create(folder) as journal:
        for event in (
            creation(small_plan, folder),
            StageAsked(stage="bayes", settings=settings),
            StageStarted(stage="bayes", space=space, trials=2),
            TrialAsked(trial="bayes-0001", stage="bayes", parameters={"f": 3}, seed=4),
            TrialStarted(trial="bayes-0001", host="node7", device="cpu"),
            report("bayes-0001", 1, 0.25),
            report("bayes-0001", 2, 0.5),
            TrialFinished(trial="bayes-0001", score=0.5, epoch=2, duration_s=3.0),
            TrialAsked(trial="bayes-0002", stage="bayes", parameters={"f": 8}, seed=4),
            TrialFailed(trial="bayes-0002", reason="DivergedError: nan"),
            StageFinished(stage="bayes", best_trial="bayes-0001", chosen={"f": 3}),
        ):
            journal.append(event)
    for trial, files in (("bayes-0001", (BEST, CHECKPOINT, PREVIOUS, *UNFINISHED)), ("bayes-0002", (ERROR,))):
        trial_folder(folder, trial).mkdir(parents=True)
        for name in files:
            (trial_folder(folder, trial) / name).write_bytes(bytes(1000))
    return folder


def report(trial: str, epoch: int, score: float) -> TrialReported:
    metrics = {"average_map": score, "ap/goal": score / 2}
    return TrialReported(trial=trial, epoch=epoch, metrics=metrics, train_s=float(epoch))


def hpo(environment: Environment, *words: str) -> "subprocess.CompletedProcess[str]":
    variables = {"HPO_RUNS": str(environment.runs), "MLFLOW_TRACKING_URI": environment.tracking_uri}
    return run_here(words, environment.runs, variables)


def answer(environment: Environment, *words: str) -> str:
    done = hpo(environment, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_list_shows_every_study_with_its_best_score(one: Path, environment: Environment) -> None:
    (row,) = json.loads(answer(environment, "list", "--json"))
    assert (row["name"], row["task"], row["stage"], row["condition"]) == ("one", "calf", "bayes", "complete")
    assert (row["best"], row["trials"]) == (0.5, 2) and row["size_bytes"] > 4000
    table = answer(environment, "list")
    assert "one" in table and "Average-mAP 0.5000" in table


def test_study_that_cannot_be_read_hides_no_other_and_is_not_renamed(
    one: Path, environment: Environment
) -> None:
    for name in ("lost", "torn"):
        shutil.copytree(one, one.parent / name)
    journal = one.parent / "lost" / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"task": "calf"', '"task": "no_such_module"', 1))
    (one.parent / "torn" / "journal.jsonl").write_text('{"x\n')
    rows = {row["name"]: row for row in json.loads(answer(environment, "list", "--json"))}
    assert (rows["one"]["best"], rows["one"]["fault"]) == (0.5, "")
    assert (rows["lost"]["best"], rows["lost"]["trials"], rows["torn"]["condition"]) == (
        None,
        2,
        "unreadable",
    )
    listed = hpo(environment, "list")
    assert "Average-mAP 0.5000" in listed.stdout and "torn: line 1 of the journal" in listed.stderr
    for words in (("status", "lost"), ("rename", "lost", "found")):
        refused = hpo(environment, *words)
        assert refused.returncode == 2 and "fix:" in refused.stderr and journal.exists()
        assert "study 'lost' needs its task, the module 'no_such_module': ModuleNotFound" in refused.stderr


def test_list_without_studies_says_where_it_looked(environment: Environment) -> None:
    assert f"there is no study in {environment.runs}" in answer(environment, "list")


def test_show_tells_where_the_files_of_a_trial_are(one: Path, environment: Environment) -> None:
    finished = answer(environment, "show", "one/bayes-0001")
    assert "0.5000 on the validation split at epoch 2" in finished and "node7" in finished
    assert str(trial_folder(one, "bayes-0001") / BEST) in finished
    assert [line.split()[0] for line in finished.splitlines()[-2:]] == ["1", "2"], "one line a validation"
    failed = answer(environment, "show", "one/bayes-0002")
    assert "DivergedError: nan" in failed and str(trial_folder(one, "bayes-0002") / ERROR) in failed
    record = json.loads(answer(environment, "show", "one/bayes-0001", "--json"))
    assert record["param/f"] == 3 and [row["epoch"] for row in record["validations"]] == [1, 2]


def test_show_of_an_unknown_trial_is_refused(one: Path, environment: Environment) -> None:
    for words in ("one/bayes-9", "one", "two/bayes-0001"):
        refused = hpo(environment, "show", words)
        assert refused.returncode == 2 and refused.stderr.startswith("error: ")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_export_has_failed_trials_too(one: Path, environment: Environment, ending: str) -> None:
    file = environment.runs / "tables" / f"trials.{ending}"
    answer(environment, "export", "one", "--to", str(file))
    frame = pd.read_csv(file) if ending == "csv" else pd.read_parquet(file)
    assert frame["status"].tolist() == ["finished", "failed"]
    assert frame["param/f"].tolist() == [3, 8]
    assert frame["metric/ap/goal"].iloc[0] == 0.25 and frame["reason"].iloc[1] == "DivergedError: nan"
    answer(environment, "export", "one", "--to", str(file), "--validations")
    frame = pd.read_csv(file) if ending == "csv" else pd.read_parquet(file)
    assert frame["metric/average_map"].tolist() == [0.25, 0.5]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_export_of_choices_that_are_texts_and_numbers(
    one: Path, environment: Environment, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"trial": "a", "param/k": "none"},
        {"trial": "b", "param/k": 0.5},
        {"trial": "c", "param/k": None},
    ]
    monkeypatch.setattr("hpo.study.recorded.records.trial_rows", lambda *_: rows)
    monkeypatch.setenv("HPO_RUNS", str(environment.runs))
    file = environment.runs / f"trials.{ending}"
    export("one", file)
    frame = pd.read_csv(file, keep_default_na=False) if ending == "csv" else pd.read_parquet(file).fillna("")
    assert frame["param/k"].tolist() == ["none", "0.5", ""]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_export_of_a_study_without_trials_can_be_read(
    small_plan: StudyPlan, environment: Environment, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = study_folder(environment, "empty")
    with Journal.create(folder) as journal:
        journal.append(creation(small_plan, folder))
    monkeypatch.setenv("HPO_RUNS", str(environment.runs))
    file = environment.runs / f"trials.{ending}"
    for validations, last in ((False, "folder"), (True, "at")):
        export("empty", file, validations=validations)
        frame = pd.read_csv(file) if ending == "csv" else pd.read_parquet(file)
        assert len(frame) == 0 and list(frame.columns)[-1] == last


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_export_to_a_full_disk_keeps_the_table_that_is_there(
    one: Path, environment: Environment, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    file = environment.runs / f"trials.{ending}"
    answer(environment, "export", "one", "--to", str(file))
    before = file.read_bytes()
    monkeypatch.setenv("HPO_RUNS", str(environment.runs))
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        with pytest.raises(OSError, match="disk full"):
            export("one", file, validations=True)
    assert file.read_bytes() == before


def test_export_of_a_stopped_study_calls_no_trial_running(one: Path, environment: Environment) -> None:
    file = environment.runs / "trials.csv"
    with Journal.open(one) as journal:
        journal.append(TrialAsked(trial="bayes-0003", stage="bayes", parameters={"f": 5}, seed=4))
        journal.append(TrialStarted(trial="bayes-0003", host="node7", device="cpu"))
        answer(environment, "export", "one", "--to", str(file))
        assert pd.read_csv(file)["status"].tolist() == ["finished", "failed", "running"]
    answer(environment, "export", "one", "--to", str(file))
    assert pd.read_csv(file)["status"].tolist() == ["finished", "failed", "waiting to be resumed"]


def test_export_to_another_kind_of_file_is_refused(one: Path, environment: Environment) -> None:
    refused = hpo(environment, "export", "one", "--to", "trials.xlsx")
    assert refused.returncode == 2 and "ending in .csv or .parquet" in refused.stderr


def test_renamed_study_keeps_its_trials_and_its_record_in_mlflow(one: Path, environment: Environment) -> None:
    answer(environment, "sync", "one")
    (one / "report.html").write_text("hpo resume one")
    Journal.create(study_folder(environment, "two")).close()  # as a start that was killed leaves it
    assert "hpo report two" in answer(environment, "rename", "one", "two")
    state = stored_state(study_folder(environment, "two"))
    assert state.created.study == "two" and len(state.trials) == 2 and not one.exists()
    client = connect(environment.tracking_uri)
    names = [found.name for found in client.search_experiments() if "hpo.identity" in found.tags]
    assert names == ["two"]
    refused = hpo(environment, "rename", "two", "two")
    assert refused.returncode == 2 and "exists already" in refused.stderr


def test_study_whose_folder_was_moved_has_the_name_of_the_folder(one: Path, environment: Environment) -> None:
    """A kill of ``hpo rename`` between the move and its record leaves the same."""
    answer(environment, "sync", "one")
    two = one.rename(one.with_name("two"))
    assert "trial       two/bayes-0001" in answer(environment, "show", "two/bayes-0001")
    answer(environment, "sync", "two")
    assert [event.study for event in stored_creation(two) if isinstance(event, StudyRenamed)] == ["two"]
    assert connect(environment.tracking_uri).get_experiment_by_name("two")


def test_wait_for_mlflow_is_told_on_standard_error(
    one: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.tracking.follower.REMARK_S", 0.0)
    for words in (("sync", "one"), ("rename", "one", "two")):
        found = hpo(environment, *words)
        assert found.returncode == 0 and "event" not in found.stdout
        assert re.fullmatch("sending [0-9]+ events? to MLflow, for 60 seconds at most", found.stderr.strip())


def test_sync_without_mlflow_says_what_is_missing_and_how_to_send_it_later(
    one: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.tracking.follower.NEVER_ANSWERED_S", 0.0)
    away = replace(environment, tracking_uri="http://user:secret@127.0.0.1:9")
    found = hpo(away, "sync", "one")
    assert found.returncode == 2 and "secret" not in found.stderr
    assert "11 events of study 'one' are still missing in MLflow: " in found.stderr
    assert "then send them with: hpo sync one" in found.stderr


def test_study_with_a_damaged_journal_keeps_its_name(one: Path, environment: Environment) -> None:
    journal = one / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"trial-started"', b'"trial-', 1))
    before = journal.read_bytes()
    refused = hpo(environment, "rename", "one", "other")
    assert refused.returncode == 2 and "line 5 of the journal cannot be read" in refused.stderr
    assert journal.read_bytes() == before


def test_deleted_study_is_gone_also_in_mlflow(one: Path, environment: Environment) -> None:
    answer(environment, "sync", "one")
    asked = hpo(environment, "delete", "one")
    assert asked.returncode == 2 and "--yes" in asked.stderr and one.is_dir()
    kept = shutil.copytree(one, environment.runs / "kept")
    copy = shutil.copytree(one, one.with_name("copy"))
    deleted = hpo(environment, "delete", "copy", "--yes")
    assert "MLflow keeps its records, which are also those of study one" in deleted.stderr
    answer(environment, "sync", "one")
    assert "deleted study one: 2 trials" in answer(environment, "delete", "one", "--yes")
    kept.rename(copy)
    again = hpo(environment, "delete", "copy", "--yes")
    assert again.returncode == 0 and "has no records of this study; other stores keep" in again.stderr
    assert not one.exists()
    found = connect(environment.tracking_uri).search_experiments()
    assert not [experiment for experiment in found if "hpo.identity" in experiment.tags]


@pytest.mark.parametrize("damage", [b"trial-", b""])
def test_study_with_an_unreadable_journal_can_be_deleted(
    one: Path, environment: Environment, damage: bytes
) -> None:
    answer(environment, "sync", "one")
    journal = one / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"trial-started"', damage, 1))
    said = answer(environment, "delete", "one", "--yes")
    assert said.startswith("deleted study one: an unreadable journal, ") and not one.exists()
    found = connect(environment.tracking_uri).search_experiments()
    assert not [experiment for experiment in found if "hpo.identity" in experiment.tags]


def test_journal_without_a_line_is_no_study(one: Path, environment: Environment) -> None:
    """As a kill leaves it that comes before the first event."""
    empty = one.with_name("empty")
    Journal.create(empty).close()
    assert [entry["name"] for entry in json.loads(answer(environment, "list", "--json"))] == ["one"]
    assert "one" in answer(environment, "status")


def test_best_of_a_study_without_a_score_is_no_result(
    small_plan: StudyPlan, environment: Environment
) -> None:
    ended = [StageStarted(stage="bayes", space={}, trials=0), StageFinished(stage="bayes", best_trial="")]
    with Journal.create(study_folder(environment, "none")) as journal:
        journal.append(creation(small_plan, journal.folder), *ended)
    done = hpo(environment, "best", "none")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "study none has no trial with a score\n"


def test_running_study_is_not_deleted(one: Path, environment: Environment) -> None:
    with Journal.open(one):
        refused = hpo(environment, "delete", "one", "--yes")
    assert refused.returncode == 2 and "is being run" in refused.stderr and one.is_dir()


def test_clean_removes_checkpoints_and_keeps_networks(one: Path, environment: Environment) -> None:
    assert "4.0 kB freed in 1 study\n" in answer(environment, "clean")
    left = {path.name for path in trial_folder(one, "bayes-0001").iterdir()}
    assert left == {BEST}


def test_clean_passes_over_a_damaged_study_and_says_so(one: Path, environment: Environment) -> None:
    for name in ("first", "torn", "last"):
        shutil.copytree(one, one.with_name(name))
    (one.with_name("torn") / "journal.jsonl").write_text('{"x\n')
    done = hpo(environment, "clean")
    assert done.returncode == 2 and done.stdout == "12.0 kB freed in 3 studies\n"
    assert done.stderr.startswith("error: 1 study could not be cleaned\n  torn: ")


_READING = (
    "status one",
    "best one",
    "best one --json",
    "list",
    "show one/bayes-0001",
    "export one --to trials.csv",
)
_IMPORTED = """
import sys
from hpo.cli.main import app
for words in sys.argv[1:]:
    app(words.split(), standalone_mode=False)
    heavy = {"torch", "ray", "mlflow", "sklearn", "matplotlib"} & set(sys.modules)
    assert not heavy, f"hpo {words} imports {heavy}"
"""


def test_commands_that_read_a_study_import_no_library_that_trains_records_or_draws(
    one: Path, environment: Environment
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, *_READING],
        env={**os.environ, "HPO_RUNS": str(environment.runs)},
        cwd=environment.runs,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (environment.runs / "trials.csv").is_file()

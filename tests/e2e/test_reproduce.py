"""Reproduce and compare through the command line, on two tiny studies that all tests here share."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from e2e.command_line import CommandLine


@pytest.fixture(scope="module")
def studies(
    tmp_path_factory: pytest.TempPathFactory,
    small_data: Path,
    shared_cache: Path,
    empty_store: Path,
    ray: None,
) -> CommandLine:
    """Studies ``one`` and ``two`` that differ in their epochs, on the same data."""
    hpo = CommandLine(tmp_path_factory.mktemp("studies"), small_data, shared_cache, here=True).with_store(
        empty_store
    )
    for name, trials, epochs in (("one", "2", "2"), ("two", "1", "3")):
        done = hpo.run(*hpo.study(name, "--trials", trials, "--epochs", epochs))
        assert done.returncode == 0, done.stderr
    return hpo


@pytest.fixture
def copied(studies: CommandLine, tmp_path: Path) -> CommandLine:
    """The MLflow store of the studies and nothing else of them."""
    runs = tmp_path / "hpo-runs"
    runs.mkdir()
    shutil.copyfile(studies.folder / "hpo-runs" / "mlflow.db", runs / "mlflow.db")
    return CommandLine(tmp_path, studies.data, studies.cache, here=True)


def run_id(hpo: CommandLine, study: str, trial: str) -> str:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{hpo.folder / 'hpo-runs' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(study)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], f"tags.`hpo.trial` = '{trial}'")
    return str(run.info.run_id)


def test_trial_trained_again_from_mlflow_alone_is_equal(copied: CommandLine) -> None:
    again = copied.run("reproduce", run_id(copied, "one", "bayes-0001"))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "equal: all metrics of 2 validations are the same to the last bit" in again.stdout
    assert "training one/bayes-0001 again on synthetic/synthetic, cpu, float32" in again.stderr
    assert "changed:" not in again.stderr


def test_changed_seed_is_different_and_named(copied: CommandLine) -> None:
    run = run_id(copied, "one", "bayes-0001")
    with closing(sqlite3.connect(copied.folder / "hpo-runs" / "mlflow.db")) as store, store:
        store.execute("UPDATE params SET value = '99' WHERE key = 'seed' AND run_uuid = ?", (run,))
        # Far from any other seed's score, so that it cannot be close by luck.
        store.execute("UPDATE metrics SET value = 0.9 WHERE key = 'average_map' AND run_uuid = ?", (run,))
    again = copied.run("reproduce", run, "--json")
    assert again.returncode == 1, again.stdout + again.stderr
    told = json.loads(again.stdout)
    assert told["verdict"] == "different"
    changes = {change["what"]: (change["recorded"], change["now"]) for change in told["changes"]}
    assert changes["setting trial.seed"] == ("5", "99")


def test_tampered_data_are_named_before_training_and_are_no_reproduction(
    copied: CommandLine, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(copied.data, other)
    labels = next(other.glob("synthetic/valid/*/Labels.json"))
    document = json.loads(labels.read_text())
    document["annotations"].pop()
    labels.write_text(json.dumps(document))
    again = copied.run("reproduce", "one/bayes-0001", "--data", str(other))
    assert again.returncode == 1, again.stdout + again.stderr
    assert "changed: data" in again.stderr
    assert "different data: this is not a reproduction" in again.stdout


def test_two_studies_stand_side_by_side(studies: CommandLine) -> None:
    answer = studies.run("compare", "one", "two", "--json")
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    epochs = {"training.epochs": [2, 3], "stages.bayes.epochs": [2, 3]}
    assert told["settings"] == {**epochs, "stages.bayes.trials": [2, 1]}
    best = [studies.best(name)[0]["average_map"] for name in ("one", "two")]
    assert told["scores"]["Average-mAP"] == best
    (row,) = told["paired"]
    assert row["seeds"] == 1
    assert row["difference"]["mean"] == pytest.approx(best[0] - best[1])
    assert row["difference"]["half_width"] is None
    shown = studies.run("compare", "one", "two")
    assert "one common seed gives no interval" in shown.stdout


def test_two_trials_stand_side_by_side(studies: CommandLine) -> None:
    answer = studies.run("compare", "one/bayes-0001", "two/bayes-0001")
    assert answer.returncode == 0, answer.stderr
    rows = {line.split()[0]: line.split()[1:] for line in answer.stdout.splitlines() if line}
    assert rows["training.epochs"] == ["2", "3"]
    assert len(rows["Average-mAP"]) == len(rows["lambda_seg"]) == 2
    assert "resampling needs 5 games or more, got 1" in answer.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reproduce", "nothing"], "MLflow has no run 'nothing'"),
        (["reproduce", "one/bayes-0001", "--data", "nowhere"], "the data of this trial were not found"),
        (["compare", "one", "three"], "there is no study 'three'"),
        (["compare", "one", "one/bayes-0001"], "are a study and a trial"),
    ],
)
def test_mistake_is_one_clear_error(studies: CommandLine, words: list[str], said: str) -> None:
    answer = studies.run(*words)
    assert answer.returncode == 2, answer.stdout + answer.stderr
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr

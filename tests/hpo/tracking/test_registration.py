"""The network of a final has a name in MLflow's registry."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import FEATURE_DISABLED
from mlflow_record import client_of, experiment_of, runs_of, tracker_of

from hpo.config.environment import Environment
from hpo.journal.events import (
    StageFinished,
    StageRetried,
    StageStarted,
    StudyRenamed,
    TrialAsked,
    TrialTested,
)
from hpo.journal.results import StudyState
from hpo.tasks.base.serving import Signature
from hpo.tracking import registration
from hpo.tracking.deletion import delete_experiment
from hpo.tracking.follower import Projection
from hpo.tracking.registration import Winner
from hpo.tracking.registry import registered_address, registered_network
from model.errors import UserError

SIGNATURE = Signature(dims=16, columns={"time_s": "double", "label": "string"})


class Killed(BaseException):
    """The process would be gone."""


def winner_in(study: Any) -> Callable[[StudyState, str], Winner | None]:
    def find(state: StudyState, stage: str) -> Winner | None:
        trial = state.stages[stage].best_trial
        if stage != "final" or not trial:
            return None
        return Winner(trial=trial, network=study.folder / "best.pt", task="calf", signature=SIGNATURE)

    return find


def projection_of(study: Any, environment: Environment) -> Projection:
    tracker = tracker_of(study, environment)
    tracker._winner_of = winner_in(study)
    return Projection(study.folder, tracker)


def record(study: Any, environment: Environment) -> Projection:
    projection = projection_of(study, environment)
    projection.advance()
    assert projection.events_left() == 0
    return projection


@pytest.fixture
def final(study: Any) -> Any:
    """A study with a final of two seeds, tested."""
    study.create()
    study.append(StageStarted, stage="final", space={}, trials=2)
    for trial, score in (("final-0001", 0.4), ("final-0002", 0.5)):
        study.append(
            TrialAsked, trial=trial, stage="final", parameters={"f": 16}, seed=int(score * 10), role="winner"
        )
        study.start(trial)
        study.report(trial, 20, score)
        study.finish(trial, 20, score)
    for trial in ("final-0001", "final-0002"):
        study.append(TrialTested, trial=trial, metrics={"average_map": 0.3})
    study.append(
        StageFinished, stage="final", best_trial="final-0002", chosen={"f": 16, "tau_max": 0.9}, role="winner"
    )
    return study


def versions_of(study: Any, environment: Environment) -> list[Any]:
    identity = experiment_of(study, environment).tags["hpo.identity"]
    client = client_of(environment)
    models = client.search_registered_models(f"tags.`hpo.identity` = '{identity}'")
    return [found for model in models for found in client.search_model_versions(f"name = '{model.name}'")]


def folder_of(version: Any) -> Path:
    """The files of a registered model."""
    return Path(url2pathname(urlsplit(version.source).path))


def test_network_of_a_final_is_a_model_with_interval_data_and_signature(
    final: Any, environment: Environment
) -> None:
    record(final, environment)
    [found] = versions_of(final, environment)
    run = runs_of(final, environment)["final-0002"]
    assert (found.name, int(found.version), found.run_id) == (final.name, 1, run.info.run_id)
    assert found.tags["hpo.score"] == "0.4500 ± 0.6353 (95 %, 2 seeds, validation split)"
    assert found.tags["hpo.test_score"] == "0.3000 ± 0.0000 (95 %, 2 seeds, test split)"
    assert found.tags["hpo.data_digest"] == "ab" * 32
    assert "- Average-mAP 0.4500 ± 0.6353" in found.description and "| tau_max | 0.9 |" in found.description
    assert [each.dataset.name for each in run.inputs.dataset_inputs] == ["wyscout/EVENTS"]

    from mlflow.models import Model

    info = Model.load(str(folder_of(found)))
    assert info.signature.inputs.to_dict()[0]["tensor-spec"] == {"dtype": "float32", "shape": (-1, 16)}
    assert info.signature.outputs.input_names() == ["time_s", "label"]


def test_version_of_a_network_that_got_another_seed_has_the_new_numbers(
    final: Any, environment: Environment
) -> None:
    record(final, environment)
    final.append(StageRetried, stage="final")
    final.append(TrialAsked, trial="final-0003", stage="final", parameters={"f": 16}, seed=6, role="winner")
    final.start("final-0003")
    final.report("final-0003", 20, 0.45)
    final.finish("final-0003", 20, 0.45)
    final.append(TrialTested, trial="final-0003", metrics={"average_map": 0.3})
    final.append(StageFinished, stage="final", best_trial="final-0002", chosen={"f": 16}, role="winner")
    record(final, environment)
    [found] = versions_of(final, environment)
    assert found.tags["hpo.score"] == "0.4500 ± 0.1242 (95 %, 3 seeds, validation split)"
    assert "the best of 3 seeds" in found.description and found.tags["hpo.score"] in found.description


def test_only_a_final_is_registered(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    assert not versions_of(study, environment)


@pytest.mark.parametrize("call", ["create_model_version", "create_registered_model", "log_artifacts"])
def test_kill_around_any_step_leaves_one_version(
    final: Any, environment: Environment, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    from mlflow import MlflowClient

    usual = getattr(MlflowClient, call)

    def once(*args: Any, **options: Any) -> None:
        monkeypatch.undo()
        usual(*args, **options)
        raise Killed

    monkeypatch.setattr(MlflowClient, call, once)
    with pytest.raises(Killed):
        projection_of(final, environment).advance()
    record(final, environment)
    assert len(versions_of(final, environment)) == 1
    record(final, environment)
    assert len(versions_of(final, environment)) == 1


def test_store_without_a_registry_refuses_once_and_keeps_everything_else(
    final: Any, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    def disabled(*args: Any, **options: Any) -> None:
        raise MlflowException("Model registry functionality is unavailable", FEATURE_DISABLED)

    for call in ("search_registered_models", "get_registered_model", "create_registered_model"):
        monkeypatch.setattr(MlflowClient, call, disabled)
    [refused] = record(final, environment).refused
    monkeypatch.undo()
    runs = runs_of(final, environment)
    run = runs["final-0002"].info
    assert "the network is not registered as a model: Model registry functionality is unavail" in refused
    assert f'mlflow.register_model("runs:/{run.run_id}/model", NAME)' in refused
    assert {file.path for file in client_of(environment).list_artifacts(run.run_id)} >= {"best.pt", "model"}
    assert runs["final"].data.tags["hpo.status"] == "finished"
    assert record(final, environment).refused == () and not versions_of(final, environment)


def test_name_follows_the_study_and_goes_with_it(final: Any, environment: Environment) -> None:
    record(final, environment)
    final.append(StudyRenamed, study=f"{final.name}: new")
    record(final, environment)
    [found] = versions_of(final, environment)
    assert found.name == f"{final.name}- new"
    identity = experiment_of(final, environment).tags["hpo.identity"]
    assert registered_address(environment, identity, "final-0002") == f"models:/{found.name}/1"
    assert registered_address(environment, identity, "final-0001") is None
    assert delete_experiment(environment, identity)
    assert registered_address(environment, identity, "final-0002") is None


def test_deletion_with_another_store_leaves_what_this_one_has(final: Any, environment: Environment) -> None:
    record(final, environment)
    identity = experiment_of(final, environment).tags["hpo.identity"]
    other = environment.runs / "other.db"
    assert not delete_experiment(replace(environment, tracking_uri=f"sqlite:///{other}"), identity)
    assert (environment.runs / "artifacts" / identity).is_dir() and not other.exists()


def test_second_study_of_a_name_has_a_model_of_its_own(
    final: Any, environment: Environment, tmp_path: Path
) -> None:
    client_of(environment).create_registered_model(final.name)
    record(final, environment)
    [found] = versions_of(final, environment)
    assert found.name.startswith(f"{final.name}-") and int(found.version) == 1


@pytest.mark.parametrize("address", ["{0}/1", "{0}/latest", "{0}@best"], ids=["version", "latest", "alias"])
def test_registered_network_is_the_file_of_the_trial(
    final: Any, environment: Environment, address: str
) -> None:
    record(final, environment)
    client_of(environment).set_registered_model_alias(final.name, "best", "1")
    with registered_network(environment, f"models:/{address.format(final.name)}") as (task, file):
        assert (task, file.read_text()) == ("calf", "best.pt")


@pytest.mark.parametrize(
    "address",
    ["models:/none/1", "models:/none", "models:none/1", "models:/{0}/7"],
    ids=["name", "no-version", "no-slash", "version"],
)
def test_unknown_model_is_an_error_that_names_known_ones(
    final: Any, environment: Environment, address: str
) -> None:
    record(final, environment)
    with pytest.raises(UserError) as refused, registered_network(environment, address.format(final.name)):
        pass
    assert f"models:/{final.name}/1" in refused.value.details["known"]


def test_model_of_another_program_is_said_to_be_one(
    final: Any, environment: Environment, tmp_path: Path
) -> None:
    record(final, environment)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "MLmodel").write_text("{}")
    client = client_of(environment)
    client.create_registered_model("theirs")
    client.create_model_version("theirs", (tmp_path / "theirs").as_uri())
    with (
        pytest.raises(UserError, match="not a network of this program"),
        registered_network(environment, "models:/theirs/1"),
    ):
        pass
    client.delete_registered_model("theirs")


def test_model_moves_with_the_folder_of_studies(
    final: Any, copy_of_store: Callable[[Path], Environment], tmp_path: Path
) -> None:
    before = copy_of_store(tmp_path / "before")
    record(final, before)
    shutil.move(tmp_path / "before", tmp_path / "after")
    after = copy_of_store(tmp_path / "unused")
    after = Environment(
        runs=tmp_path / "after",
        cache=after.cache,
        data=after.data,
        tracking_uri=f"sqlite:///{tmp_path}/after/mlflow.db",
    )
    with registered_network(after, f"models:/{final.name}/1") as (_, file):
        assert file.read_text() == "best.pt"
    with closing(sqlite3.connect(tmp_path / "after" / "mlflow.db")) as store, store:
        query = "SELECT source FROM model_versions WHERE name = ?"
        [(source,)] = store.execute(query, (final.name,)).fetchall()
    assert source.startswith((tmp_path / "after").as_uri())


def test_loaded_model_predicts_what_its_task_predicts(
    final: Any, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    from hpo.tasks.calf.task import TASK

    record(final, environment)
    monkeypatch.setattr(type(TASK), "load_network", lambda self, file: file.read_text())
    monkeypatch.setattr(type(TASK), "predict", lambda self, network, features: (network, features.shape))
    model = mlflow.pyfunc.load_model(str(folder_of(versions_of(final, environment)[0])))
    assert model.predict(np.zeros((5, 16), np.float32)) == ("best.pt", (5, 16))


def test_registration_names_what_a_model_needs(final: Any, environment: Environment) -> None:
    record(final, environment)
    found = versions_of(final, environment)[0]
    requirements = (folder_of(found) / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in requirements if "mlflow" not in line] == [
        *registration._REQUIREMENTS
    ]

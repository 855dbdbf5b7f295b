"""Trials read back from MLflow."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from hpo.config.environment import Environment
from hpo.journal.results import stored_state
from hpo.spotting.trials import name_of_run
from hpo.tracking.follower import Projection
from hpo.tracking.mlflow_tracker import MlflowTracker
from hpo.tracking.runs import attach_files, attached_pictures, recorded_trial
from model.errors import UserError


def record(study: Any, environment: Environment) -> None:
    tracker = MlflowTracker(
        environment, dataset="wyscout/EVENTS", fixed={"tau_max": 0.9}, files_of=lambda trial: study.files
    )
    study.files[0].write_text('{"trial": {"seed": 7}}')
    Projection(study.folder, tracker).advance()


def run_id(study: Any, environment: Environment, name: str) -> str:
    client = MlflowClient(environment.tracking_uri)
    experiment = client.get_experiment_by_name(study.name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (found,) = [run for run in runs if run.info.run_name == name]
    return str(found.info.run_id)


def test_trial_comes_back_with_all_that_training_it_again_takes(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    name = run_id(study, environment, "bayes-0002")
    trial = recorded_trial(environment, name)
    assert trial == recorded_trial(environment, f"{study.name}/bayes-0002")
    assert trial.run == name
    assert trial.parameters == {"f": 8, "r": 40, "alpha2": 1.0, "tau_max": 0.9, "seed": 7}
    assert {epoch: values["average_map"] for epoch, values in trial.validations.items()} == {
        20: 0.3,
        40: 0.4,
        60: 0.35,
    }
    assert (trial.tags["hpo.threads"], trial.tags["hpo.stage"]) == ("2", "bayes")
    assert trial.plan == {"study": {"task": "calf", "network": {"chunk_s": 120.0}}}
    assert trial.settings == {} and trial.config == {"trial": {"seed": 7}}


def test_only_files_that_are_named_lie_with_a_trial(
    study: Any, environment: Environment, tmp_path: Path
) -> None:
    record(study.whole(), environment)
    for name in ("timeline.png", "of-another-network.png"):
        (tmp_path / name).write_bytes(name.encode())
    identity = stored_state(study.folder).created.identity
    attach_files(environment, identity, "bayes-0002", [tmp_path / "timeline.png"], "analysis-valid")
    pictures = attached_pictures(environment, identity, "bayes-0002", "analysis-")
    assert pictures == {"analysis-valid/timeline.png": b"timeline.png"}


def test_what_cannot_be_trained_again_says_why(study: Any, environment: Environment) -> None:
    study.create()
    study.ask("bayes-0000", f=4)
    study.failing_trial()
    record(study, environment)
    for name, said in {
        run_id(study, environment, "bayes"): "is not a trial but the stage bayes",
        run_id(study, environment, "bayes-0000"): "has no validation yet",
        run_id(study, environment, "bayes-0001"): "bayes-0001 failed and .* loss is NaN at epoch 21",
        "0" * 32: "MLflow has no run '0000",
        "no such run": "MLflow has no run 'no such run'",
        f"{study.name}/bayes-0009": "MLflow has no trial 'bayes-0009'",
        "nowhere/bayes-0001": "of a study 'nowhere'",
    }.items():
        with pytest.raises(UserError, match=said):
            recorded_trial(environment, name)


def test_missing_file_is_named(study: Any, environment: Environment) -> None:
    record(study.whole(), environment)
    stage = run_id(study, environment, "bayes")
    (plan,) = (environment.runs / "artifacts").glob(f"*/{stage}/artifacts/study.json")
    plan.unlink()
    with pytest.raises(UserError, match=r"cannot read study\.json from run"):
        recorded_trial(environment, f"{study.name}/bayes-0002")


def test_two_studies_of_one_name_are_told_apart_by_run(
    study: Any, environment: Environment, tmp_path: Path
) -> None:
    record(study.whole(), environment)
    record(type(study)(tmp_path / "elsewhere" / study.name).whole(), environment)
    with pytest.raises(UserError, match="MLflow has 2 trials 'bayes-0002' of studies named"):
        recorded_trial(environment, f"{study.name}/bayes-0002")


def test_trial_named_by_its_run_is_that_of_the_study_here_and_gets_the_files(
    study: Any, environment: Environment, tmp_path: Path
) -> None:
    record(study.whole(), environment)
    other = type(study)(tmp_path / "elsewhere" / study.name).whole()
    record(other, environment)
    mine, theirs = (stored_state(each.folder).created.identity for each in (study, other))
    client = MlflowClient(environment.tracking_uri)
    (there,) = client.search_experiments(filter_string=f"tags.`hpo.identity` = '{theirs}'")
    (same,) = client.search_runs([there.experiment_id], "tags.`hpo.trial` = 'bayes-0002'")
    here, run = replace(environment, runs=tmp_path), run_id(study, environment, "bayes-0002")
    assert name_of_run(run, here) == f"{study.name}/bayes-0002"
    with pytest.raises(
        UserError, match=r"trial 'bayes-0002' of a study .* that is not among the studies here"
    ):
        name_of_run(same.info.run_id, here)
    attach_files(here, mine, "bayes-0002", study.files[:1], "analysis-valid")
    assert [file.path for file in client.list_artifacts(run, "analysis-valid")] == [
        "analysis-valid/config.json"
    ]
    assert not client.list_artifacts(same.info.run_id, "analysis-valid")


def test_files_of_a_trial_that_mlflow_lacks_lie_with_no_other_study(
    study: Any, environment: Environment, tmp_path: Path
) -> None:
    record(type(study)(tmp_path / "elsewhere" / study.name).whole(), environment)
    identity = stored_state(study.whole().folder).created.identity
    with pytest.raises(UserError, match="no run of trial 'bayes-0002' of this study"):
        attach_files(environment, identity, "bayes-0002", study.files, "analysis-valid")


def test_trial_is_found_also_behind_the_first_page_of_runs(
    study: Any, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(study.whole(), environment)
    name, search = run_id(study, environment, "bayes-0002"), MlflowClient.search_runs

    def two_a_page(client: MlflowClient, experiments: list[str], **options: Any) -> Any:
        # Without the filter, as many runs as a study of more than 1,000 trials has pages.
        return search(client, experiments, **{**options, "filter_string": "", "max_results": 1})

    monkeypatch.setattr(MlflowClient, "search_runs", two_a_page)
    for trial in ("bayes-0000", "bayes-0002"):
        assert recorded_trial(environment, f"{study.name}/{trial}").tags["hpo.trial"] == trial
    assert recorded_trial(environment, f"{study.name}/bayes-0002").run == name


def test_server_that_does_not_answer_is_told_with_what_to_do(environment: Environment) -> None:
    away = replace(environment, tracking_uri="http://127.0.0.1:9")
    with pytest.raises(UserError, match="does not answer") as error:
        recorded_trial(away, "0" * 32)
    assert error.value.message == "MLflow at 127.0.0.1:9 does not answer"
    assert error.value.details["fix"].startswith("start the server")

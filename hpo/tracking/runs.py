"""Reading single runs back from MLflow, for a person who names one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hpo.config.environment import Environment, without_passwords
from hpo.tracking.experiment import IDENTITY, connect
from hpo.tracking.notes import NOTE, with_page
from hpo.tracking.store import answering, check_store, make_store, silent_server
from model.documents import parse_json, read_limited
from model.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Number = int | float | str
_MAX_BYTES = 16 << 20
_VALIDATED = "train_s"
"""A metric that every validation has, whatever the task."""
_SIDE = "workflowType=machine_learning"
"""Of the two sides of MLflow's pages, the one that knows runs; the other is about language models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTrial:
    """A trial as MLflow holds it: all that is needed to train it again."""

    run: str
    """Id of its run."""
    tags: Mapping[str, str]
    """Its origin, as ``MlflowTracker`` wrote it: ``hpo.study``, ``hpo.code_digest`` and others."""
    parameters: Mapping[str, Number]
    """Hyperparameters by symbol, and ``seed``."""
    validations: Mapping[int, Mapping[str, float]]
    """Epoch -> metric -> value."""
    plan: dict[str, Any]
    """The study's plan, as in its journal."""
    settings: dict[str, Any]
    """Those of the trial's stage."""
    config: dict[str, Any]
    """What the model was told; empty for a trial that never finished."""


def run_parameters(environment: Environment, run_id: str) -> dict[str, Number] | None:
    """The parameters of a run by name, numbers as numbers; None when the store has no such run."""
    from mlflow.exceptions import MlflowException

    make_store(environment)
    try:
        run = connect(environment.tracking_uri).get_run(run_id)
    except MlflowException:
        return None
    return _parameters(run)


def recorded_trial(environment: Environment, name: str) -> RecordedTrial:
    """Read the trial that ``name`` means: the id of its run, or ``STUDY/TRIAL``.

    Raises:
        UserError: There is no such run, it is no trial of ours, it failed or has no validation yet, or a file
            that it needs is not in the store.
    """
    check_store(environment)
    make_store(environment)
    with answering(environment.tracking_uri):
        client = connect(environment.tracking_uri)
        run = _find(client, name, environment)
        _check(run)
        stage = run.data.tags["mlflow.parentRunId"]
        return RecordedTrial(
            run=run.info.run_id,
            tags=dict(run.data.tags),
            parameters=_parameters(run),
            validations=_validations(client, run),
            plan=_record(client, stage, "study.json"),
            settings=_record(client, stage, "settings.json"),
            config=_record(client, run.info.run_id, "config.json", optional=True),
        )


def attach_folder(environment: Environment, name: str, folder: Path, place: str) -> None:
    """Record the files of ``folder`` with a trial's run, named as in ``recorded_trial``, under ``place``.

    Raises:
        UserError: There is no such run, or the store does not answer.
    """
    check_store(environment)
    with answering(environment.tracking_uri):
        client = connect(environment.tracking_uri)
        client.log_artifacts(_find(client, name, environment).info.run_id, str(folder), place)


def attached_pictures(environment: Environment, identity: str, trial: str, prefix: str) -> dict[str, bytes]:
    """PNG files among a trial's artifacts in the folders whose names begin with ``prefix``, by path.

    Args:
        environment: Says which store.
        identity: The study's, as in its journal.
        trial: Name of the trial.
        prefix: Of the folders.

    Raises:
        UserError: The store does not answer.
    """
    _require_answer(environment)
    make_store(environment)
    with answering(environment.tracking_uri):
        client = connect(environment.tracking_uri)
        for run in _runs_of(client, identity):
            if run.data.tags.get("hpo.trial") == trial:
                return _pictures(client, run.info.run_id, prefix)
    return {}


def _pictures(client: "MlflowClient", run: str, prefix: str) -> dict[str, bytes]:
    pictures = {}
    folders = [entry.path for entry in client.list_artifacts(run) if entry.path.startswith(prefix)]
    files = [entry.path for folder in folders for entry in client.list_artifacts(run, folder)]
    with TemporaryDirectory() as here:
        for file in files:
            if file.endswith(".png"):
                pictures[file] = read_limited(Path(client.download_artifacts(run, file, here)), _MAX_BYTES)
    return pictures


def attach_page(environment: Environment, identity: str, page: Path) -> str | None:
    """Keep the page of a study with its newest stage, and link to it from all stages and the experiment.

    Returns:
        Its address below that of MLflow's pages; None where MLflow knows no stage of the study.

    Raises:
        UserError: The store does not answer.
    """
    _require_answer(environment)
    make_store(environment)
    with answering(environment.tracking_uri):
        client = connect(environment.tracking_uri)
        stages = [run for run in _runs_of(client, identity) if "mlflow.parentRunId" not in run.data.tags]
        if not stages:
            return None
        newest = max(stages, key=lambda run: run.info.start_time).info
        client.log_artifact(newest.run_id, str(page))
        address = f"#/experiments/{newest.experiment_id}/runs/{newest.run_id}/artifacts/{page.name}?{_SIDE}"
        for run in stages:
            note = with_page(run.data.tags.get(NOTE, ""), address)
            client.set_tag(run.info.run_id, NOTE, note)
        tags = client.get_experiment(newest.experiment_id).tags
        client.set_experiment_tag(newest.experiment_id, NOTE, with_page(tags.get(NOTE, ""), address))
    return address


def _require_answer(environment: Environment) -> None:
    check_store(environment)
    if server := silent_server(environment):
        raise UserError(f"MLflow at {server} does not answer")


def _runs_of(client: "MlflowClient", identity: str) -> "list[Run]":
    experiments = client.search_experiments(filter_string=f"tags.`{IDENTITY}` = '{identity}'")
    runs: list[Run] = []
    for experiment in experiments:
        page = client.search_runs([experiment.experiment_id])
        runs += page
        while page.token:
            page = client.search_runs([experiment.experiment_id], page_token=page.token)
            runs += page
    return runs


def _find(client: "MlflowClient", name: str, environment: Environment) -> "Run":
    from mlflow.exceptions import MlflowException

    study, separator, trial = name.partition("/")
    if separator:
        return _find_by_names(client, study, trial)
    try:
        return client.get_run(name)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise UserError(
            f"MLflow has no run {name!r}",
            looked_in=without_passwords(environment.tracking_uri),
            fix="take the id from a trial's page (hpo ui), or write STUDY/TRIAL",
        ) from None


def _find_by_names(client: "MlflowClient", study: str, trial: str) -> "Run":
    experiments = [
        experiment.experiment_id
        for experiment in client.search_experiments()
        if experiment.tags.get("hpo.study") == study
    ]
    runs = [
        run
        for run in (client.search_runs(experiments) if experiments else [])
        if run.data.tags.get("hpo.trial") == trial
    ]
    if len(runs) == 1:
        return runs[0]
    if runs:
        raise UserError(
            f"{len(runs)} studies of MLflow are called {study!r} and have a trial {trial!r}",
            fix=f"name its run: {', '.join(run.info.run_id for run in runs)}",
        )
    raise UserError(f"MLflow has no trial {trial!r} of a study {study!r}")


def _check(run: "Run") -> None:
    tags, name = run.data.tags, run.info.run_id
    if "hpo.trial" not in tags or "mlflow.parentRunId" not in tags:
        what = f"the stage {tags['hpo.stage']}" if "hpo.stage" in tags else "nothing that hpo recorded"
        raise UserError(f"run {name} is no trial but {what}", fix="name the run of a trial")
    if tags.get("hpo.status") == "failed":
        reason = tags.get("hpo.reason", "no reason")
        raise UserError(f"trial {tags['hpo.trial']} failed, it has no score to compare with: {reason}")
    if _VALIDATED not in run.data.metrics:
        raise UserError(f"trial {tags['hpo.trial']} has no validation yet, there is nothing to compare with")


def _validations(client: "MlflowClient", run: "Run") -> dict[int, dict[str, float]]:
    validations: dict[int, dict[str, float]] = {}
    for name in run.data.metrics:
        for metric in client.get_metric_history(run.info.run_id, name):
            validations.setdefault(metric.step, {})[name] = metric.value
    return {epoch: values for epoch, values in sorted(validations.items()) if _VALIDATED in values}


def _record(client: "MlflowClient", run_id: str, file: str, *, optional: bool = False) -> dict[str, Any]:
    """The JSON file ``file`` among the artifacts of a run."""
    from mlflow.exceptions import MlflowException

    with TemporaryDirectory() as folder:
        try:
            path = Path(client.download_artifacts(run_id, file, folder))
            record = parse_json(read_limited(path, _MAX_BYTES))
            if not isinstance(record, dict):
                raise ValueError("expected a JSON object")
        except (OSError, ValueError, MlflowException) as error:
            if optional:
                return {}
            raise UserError(
                f"{file} cannot be read from run {run_id}, without it the trial cannot be trained again: "
                f"{str(error).splitlines()[0]}"
            ) from None
    return record


def _parameters(run: "Run") -> dict[str, Number]:
    return {name: _number(text) for name, text in run.data.params.items()}


def _number(text: str) -> Number:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

"""Access to single runs in MLflow: reading a trial, attaching files and pages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hpo.config.environment import Environment, without_passwords
from hpo.tracking.experiment import connect
from hpo.tracking.names import original_name
from hpo.tracking.notes import NOTE, with_page_link
from hpo.tracking.store import IDENTITY, make_store, require_answer, store_errors
from hpo.tracking.table import SIDE
from model.documents import parse_json, read_limited
from model.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Number = int | float | str
_MAX_BYTES = 16 << 20
_VALIDATED = "train_s"
"""Metric that every validation has, in every task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTrial:
    """Everything that MLflow stores of a trial and that is needed to train it again."""

    run: str
    """Id of its run."""
    identity: str
    """Identity of its study, as in the journal; names of studies may be the same."""
    tags: Mapping[str, str]
    """Tags that ``MlflowTracker`` wrote: ``hpo.study``, ``hpo.code_digest`` and others."""
    parameters: Mapping[str, Number]
    """Hyperparameters by symbol, and ``seed``."""
    validations: Mapping[int, Mapping[str, float]]
    """Epoch -> metric -> value."""
    plan: dict[str, Any]
    """Plan of the study, as in its journal."""
    settings: dict[str, Any]
    """Settings of the trial's stage."""
    config: dict[str, Any]
    """Settings of the model; empty for a trial that did not finish."""


_NO_SUCH_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""MLflow's answers for the id of a run that does not exist, or that cannot be an id."""


def run_parameters(environment: Environment, run_id: str) -> dict[str, Number] | None:
    """Return the parameters of a run by name, converted to numbers; None if the store has no such run.

    Raises:
        UserError: The store does not answer.
    """
    from mlflow.exceptions import MlflowException

    make_store(environment)
    with store_errors(environment.tracking_uri):
        try:
            run = connect(environment.tracking_uri).get_run(run_id)
        except MlflowException as error:
            if error.error_code not in _NO_SUCH_RUN:
                raise
            return None
    return _parameters(run)


def recorded_trial(environment: Environment, name: str) -> RecordedTrial:
    """Read a trial by the id of its run or by ``STUDY/TRIAL``.

    Raises:
        UserError: The run does not exist, is not a trial of this service, failed, has no validation yet, or
            lacks a file that is needed to train it again.
    """
    require_answer(environment)
    make_store(environment)
    with store_errors(environment.tracking_uri):
        client = connect(environment.tracking_uri)
        run = _find(client, name, environment)
        _check(run)
        stage = run.data.tags["mlflow.parentRunId"]
        return RecordedTrial(
            run=run.info.run_id,
            identity=client.get_experiment(run.info.experiment_id).tags.get(IDENTITY, ""),
            tags=dict(run.data.tags),
            parameters=_parameters(run),
            validations=_validations(client, run),
            plan=_record(client, stage, "study.json"),
            settings=_record(client, stage, "settings.json"),
            config=_record(client, run.info.run_id, "config.json", optional=True),
        )


def attach_files(
    environment: Environment, identity: str, trial: str, files: Iterable[Path], place: str
) -> None:
    """Upload files to the artifact folder ``place`` of a trial's run.

    Args:
        environment: Gives the address of the store.
        identity: Identity of the study, as in its journal.
        trial: Name of the trial.
        files: Files to upload.
        place: Artifact folder of the run.

    Raises:
        UserError: The store has no run of the trial, or does not answer.
    """
    require_answer(environment)
    make_store(environment)
    with store_errors(environment.tracking_uri):
        client = connect(environment.tracking_uri)
        runs = _named(_runs_of(client, identity, of_trial=trial), trial)
        if not runs:
            raise UserError(
                f"MLflow has no run of trial {trial!r} of this study",
                looked_in=without_passwords(environment.tracking_uri),
                fix="send the records of its study first: hpo sync STUDY",
            )
        for file in files:
            client.log_artifact(runs[0].info.run_id, str(file), place)


def attached_pictures(environment: Environment, identity: str, trial: str, prefix: str) -> dict[str, bytes]:
    """Download the PNG files in a trial's artifact folders whose names begin with ``prefix``.

    Args:
        environment: Gives the address of the store.
        identity: Identity of the study, as in its journal.
        trial: Name of the trial.
        prefix: Beginning of the names of the artifact folders.

    Returns:
        Path of the artifact -> content.

    Raises:
        UserError: The store does not answer.
    """
    require_answer(environment)
    make_store(environment)
    with store_errors(environment.tracking_uri):
        client = connect(environment.tracking_uri)
        for run in _named(_runs_of(client, identity, of_trial=trial), trial):
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
    """Upload the page of a study to its newest stage, and link to it from all stages and the experiment.

    Returns:
        Address of the page, relative to that of MLflow's pages; None if MLflow has no stage of the study.

    Raises:
        UserError: The store does not answer.
    """
    require_answer(environment)
    make_store(environment)
    with store_errors(environment.tracking_uri):
        client = connect(environment.tracking_uri)
        stages = [run for run in _runs_of(client, identity) if "mlflow.parentRunId" not in run.data.tags]
        if not stages:
            return None
        newest = max(stages, key=lambda run: run.info.start_time).info
        client.log_artifact(newest.run_id, str(page))
        address = f"#/experiments/{newest.experiment_id}/runs/{newest.run_id}/artifacts/{page.name}?{SIDE}"
        for run in stages:
            note = with_page_link(run.data.tags.get(NOTE, ""), address)
            client.set_tag(run.info.run_id, NOTE, note)
        tags = client.get_experiment(newest.experiment_id).tags
        client.set_experiment_tag(newest.experiment_id, NOTE, with_page_link(tags.get(NOTE, ""), address))
    return address


def _runs_of(client: "MlflowClient", identity: str, *, of_trial: str | None = None) -> "list[Run]":
    experiments = client.search_experiments(filter_string=f"tags.`{IDENTITY}` = '{identity}'")
    return _search(client, [experiment.experiment_id for experiment in experiments], of_trial)


def _search(client: "MlflowClient", experiments: list[str], trial: str | None) -> "list[Run]":
    """Return all runs, or those of a trial; MLflow returns them in pages of 1,000."""
    # MLflow has no escape for a quote, which no name of a trial contains.
    wanted = "" if trial is None or "'" in trial else f"tags.`hpo.trial` = '{trial}'"
    runs: list[Run] = []
    token = None
    while experiments:
        page = client.search_runs(experiments, filter_string=wanted, page_token=token)
        runs += page
        token = page.token
        if not token:
            break
    return runs


def _named(runs: "list[Run]", trial: str) -> "list[Run]":
    return [run for run in runs if run.data.tags.get("hpo.trial") == trial]


def _find(client: "MlflowClient", name: str, environment: Environment) -> "Run":
    from mlflow.exceptions import MlflowException

    study, separator, trial = name.partition("/")
    if separator:
        return _find_by_names(client, study, trial, environment)
    try:
        return client.get_run(name)
    except MlflowException as error:
        if error.error_code not in _NO_SUCH_RUN:
            raise
        raise UserError(
            f"MLflow has no run {name!r}",
            looked_in=without_passwords(environment.tracking_uri),
            fix="use the id on the trial's page (see hpo ui), or STUDY/TRIAL",
        ) from None


def _find_by_names(client: "MlflowClient", study: str, trial: str, environment: Environment) -> "Run":
    experiments = [
        experiment.experiment_id
        for experiment in client.search_experiments()
        if experiment.tags.get("hpo.study") == study
    ]
    runs = _named(_search(client, experiments, trial), trial)
    if len(runs) == 1:
        return runs[0]
    if runs:
        raise UserError(
            f"MLflow has {len(runs)} trials {trial!r} of studies named {study!r}",
            fix=f"use the id of the run: {', '.join(run.info.run_id for run in runs)}",
        )
    raise UserError(
        f"MLflow has no trial {trial!r} of a study {study!r}",
        looked_in=without_passwords(environment.tracking_uri),
        fix="use the id on the trial's page (see hpo ui), or a name that exists: hpo list",
    )


def _check(run: "Run") -> None:
    tags, name = run.data.tags, run.info.run_id
    if "hpo.trial" not in tags or "mlflow.parentRunId" not in tags:
        what = f"the stage {tags['hpo.stage']}" if "hpo.stage" in tags else "a run of another program"
        raise UserError(f"run {name} is not a trial but {what}", fix="use the run of a trial")
    if tags.get("hpo.status") == "failed":
        reason = tags.get("hpo.reason", "no reason")
        raise UserError(f"trial {tags['hpo.trial']} failed and has no score to compare with: {reason}")
    if _VALIDATED not in run.data.metrics:
        raise UserError(
            f"trial {tags['hpo.trial']} has no validation yet, so that there is nothing to compare with"
        )


def _validations(client: "MlflowClient", run: "Run") -> dict[int, dict[str, float]]:
    validations: dict[int, dict[str, float]] = {}
    for name in run.data.metrics:
        for metric in client.get_metric_history(run.info.run_id, name):
            named = validations.setdefault(metric.step, {})
            named[original_name(name, run.data.tags)] = metric.value
    return {epoch: values for epoch, values in sorted(validations.items()) if _VALIDATED in values}


def _record(client: "MlflowClient", run_id: str, file: str, *, optional: bool = False) -> dict[str, Any]:
    """Download the JSON artifact ``file`` of a run; an optional one may be missing."""
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
                f"cannot read {file} from run {run_id}, which is needed to train the trial again: "
                f"{str(error).splitlines()[0]}"
            ) from None
    return record


def _parameters(run: "Run") -> dict[str, Number]:
    return {original_name(name, run.data.tags): _number(text) for name, text in run.data.params.items()}


def _number(text: str) -> Number:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

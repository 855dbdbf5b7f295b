"""One study in MLflow: an experiment whose runs go by the names of stages and trials."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from hpo.config.environment import Environment
from hpo.tracking.notes import NOTE
from hpo.tracking.store import artifact_folder, make_store, quiet_variables
from hpo.tracking.symbols import accepted_name
from hpo.tracking.table import VIEW, table_view
from hpo.tracking.tracker import RecordRefusedError

if TYPE_CHECKING:
    from mlflow import MlflowClient

IDENTITY = "hpo.identity"
"""The tag of an experiment that says which study it is."""
_RECORDED = "hpo.recorded_events"
_STAGE = "hpo.stage"
_TRIAL = "hpo.trial"
_PARENT = "mlflow.parentRunId"
_PARAMS_A_BATCH = 100
_LONGEST_TAG = 5000
_LONGEST_DIGEST = 36
_REFUSALS = {"BAD_REQUEST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST"}


class Experiment:
    """Runs of one study; every call may be repeated and then changes nothing."""

    def __init__(self, client: "MlflowClient", experiment_id: str, recorded: int) -> None:
        """For ``find_or_make``."""
        self.recorded = recorded
        """What ``save`` was told last; 0 in a new experiment."""
        self._client = client
        self._id = experiment_id
        self._runs = self._known_runs()

    @classmethod
    def find_or_make(cls, environment: Environment, *, name: str, identity: str) -> Self:
        """The experiment of the study with this identity, made when the store lacks it.

        It is called as the study, unless another study of that name is in the store already.

        Raises:
            LookupError: A person deleted the experiment.
        """
        make_store(environment)
        client = connect(environment.tracking_uri)
        # 3 is MLflow's ViewType.ALL: deleted ones too.
        found = client.search_experiments(view_type=3, filter_string=f"tags.`{IDENTITY}` = '{identity}'")
        if found and found[0].lifecycle_stage == "deleted":
            raise LookupError(f"experiment {found[0].name!r} was deleted in MLflow; restore it there")
        if found:
            return cls(client, found[0].experiment_id, int(found[0].tags.get(_RECORDED, 0)))
        taken = client.get_experiment_by_name(name) is not None
        experiment_id = client.create_experiment(
            f"{name}-{identity[:8]}" if taken else name,
            artifact_location=artifact_folder(environment, identity),
            tags={
                IDENTITY: identity,
                "hpo.study": name,
                "mlflow.experimentKind": "custom_model_development",
            },
        )
        return cls(client, experiment_id, 0)

    def save(self, recorded: int) -> None:
        """Keep how far the journal is recorded."""
        self._client.set_experiment_tag(self._id, _RECORDED, str(recorded))

    def offer_table(self, stage: str, parameters: Sequence[str], *, metric: str) -> None:
        """Let MLflow's pages show a stage's trials with score and hyperparameters; see ``table_address``."""
        self._client.set_experiment_tag(
            self._id, f"{VIEW}{stage}", table_view(stage, parameters, metric=metric)
        )

    def describe(self, note: str) -> None:
        """Set what a person reads above the table of runs, in Markdown."""
        self._client.set_experiment_tag(self._id, NOTE, note[:_LONGEST_TAG])

    def start_run(self, *, stage: str, trial: str | None, at: datetime, tags: Mapping[str, str]) -> None:
        """Make the run of a trial below its stage's, or the stage's own; MLflow takes it for RUNNING."""
        name = trial or stage
        if name not in self._runs:
            named = {_STAGE: stage} | ({_TRIAL: trial, _PARENT: self._runs[stage] or ""} if trial else {})
            run = self._client.create_run(
                self._id, start_time=_milliseconds(at), run_name=name, tags={**tags, **named}
            )
            self._runs[name] = run.info.run_id

    def set_status(self, name: str, status: str) -> None:
        """Set MLflow's own status: SCHEDULED or RUNNING."""
        self._on(name, lambda run: self._client.update_run(run, status=status))

    def end_run(self, name: str, status: str, at: datetime) -> None:
        """Set MLflow's own status: FINISHED, FAILED or KILLED."""
        self._on(name, lambda run: self._client.set_terminated(run, status, _milliseconds(at)))

    def log_parameters(self, name: str, parameters: Mapping[str, object]) -> None:
        """Record parameters, which MLflow lets nobody change later."""
        from mlflow.entities import Param

        params = [Param(key, str(value)) for key, value in parameters.items()]
        batches = [
            params[start : start + _PARAMS_A_BATCH] for start in range(0, len(params), _PARAMS_A_BATCH)
        ]
        self._on(name, lambda run: [self._client.log_batch(run, params=batch) for batch in batches])

    def log(
        self,
        name: str,
        *,
        at: datetime,
        step: int = 0,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Record metrics and tags in one request."""
        from mlflow.entities import Metric, RunTag

        # MLflow keeps one value of the same metric, moment, step and number, so a repeated call adds nothing.
        measured = [
            Metric(accepted_name(key), value, _milliseconds(at), step)
            for key, value in (metrics or {}).items()
        ]
        tagged = [RunTag(key, value[:_LONGEST_TAG]) for key, value in (tags or {}).items()]
        self._on(name, lambda run: self._client.log_batch(run, metrics=measured, tags=tagged))

    def log_data(self, name: str, *, dataset: str, digest: str) -> None:
        """Record which data a run used."""
        from mlflow.entities import Dataset, DatasetInput

        data = Dataset(name=dataset, digest=digest[:_LONGEST_DIGEST], source_type="local", source=dataset)
        self._on(name, lambda run: self._client.log_inputs(run, [DatasetInput(data)]))

    def log_file(self, name: str, path: Path) -> None:
        """Keep a copy of a file with the run; a file of the same name is replaced."""
        self._on(name, lambda run: self._client.log_artifact(run, path))

    def log_contents(self, name: str, files: Mapping[str, bytes], place: str) -> None:
        """Keep files with the run under ``place``; files of the same names are replaced."""
        with TemporaryDirectory() as folder:
            for file, content in files.items():
                (Path(folder) / file).write_bytes(content)
            if files:
                self._on(name, lambda run: self._client.log_artifacts(run, folder, place))

    def log_record(self, name: str, record: Mapping[str, Any], file: str) -> None:
        """Keep a record with the run as a JSON file."""
        self._on(name, lambda run: self._client.log_dict(run, record, file))

    def _known_runs(self) -> dict[str, str | None]:
        """Run ids by name; None for a run that a person deleted, which then stays deleted."""
        runs: dict[str, str | None] = {}
        page = None
        while page is None or page.token:
            page = self._client.search_runs(
                [self._id], run_view_type=3, page_token=page.token if page else None
            )
            for run in page:
                name = run.data.tags.get(_TRIAL) or run.data.tags.get(_STAGE)
                if name:
                    runs[name] = None if run.info.lifecycle_stage == "deleted" else run.info.run_id
        return runs

    def _on(self, name: str, call: Callable[[str], object]) -> None:
        run = self._runs[name]
        if run is not None:
            with _refusals():
                call(run)


@contextmanager
def _refusals() -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code in _REFUSALS:
            raise RecordRefusedError(str(error)) from error
        raise


def connect(uri: str) -> "MlflowClient":
    """A client of the store at ``uri`` that keeps its remarks to itself."""
    os.environ.update(quiet_variables())
    # Pages about a full disk, of which the follower tells in a line.
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)

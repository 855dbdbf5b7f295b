"""MLflow experiment of a study, with runs named after its stages and trials."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self, TypeVar

from hpo.config.environment import Environment
from hpo.tracking.names import accepted_name, tags_of_long_names
from hpo.tracking.notes import NOTE
from hpo.tracking.store import IDENTITY, artifact_folder, make_store, quiet_variables
from hpo.tracking.table import VIEW, table_view
from hpo.tracking.tracker import RecordRefusedError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

Entry = TypeVar("Entry")

_RECORDED = "hpo.recorded_events"
_STAGE = "hpo.stage"
_TRIAL = "hpo.trial"
_PARENT = "mlflow.parentRunId"
_METRICS_A_BATCH = 1000
_PARAMS_A_BATCH = 100
"""The limit for tags too."""
_LONGEST_TAG = 5000
_LONGEST_DIGEST = 36
_REFUSALS = {"BAD_REQUEST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST"}


class Experiment:
    """MLflow experiment of one study. Repeating a call changes nothing."""

    def __init__(self, client: "MlflowClient", experiment_id: str, recorded: int) -> None:
        """Open an existing experiment; use ``find_or_make``."""
        self.recorded = recorded
        """Number of recorded events, as last passed to ``save``; 0 for a new experiment."""
        self._client = client
        self._id = experiment_id
        self._runs = self._known_runs()

    @classmethod
    def find_or_make(cls, environment: Environment, *, name: str, identity: str) -> Self:
        """Return the experiment of the study with this identity; create it if the store has none.

        Its name is that of the study, with a suffix if the store has another experiment of that name.

        Raises:
            LookupError: The experiment was deleted in MLflow.
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
        """Store the number of journal events that are recorded."""
        self._client.set_experiment_tag(self._id, _RECORDED, str(recorded))

    def rename(self, study: str) -> None:
        """Give the experiment and its runs the new name of the study, as ``find_or_make`` would."""
        identity = self._client.get_experiment(self._id).tags[IDENTITY]
        named = self._client.get_experiment_by_name(study)
        if named is None:
            self._client.rename_experiment(self._id, study)
        elif named.experiment_id != self._id:
            self._client.rename_experiment(self._id, f"{study}-{identity[:8]}")
        self._client.set_experiment_tag(self._id, "hpo.study", study)
        for run in filter(None, self._runs.values()):
            self._client.set_tag(run, "hpo.study", study)

    def add_table(self, stage: str, parameters: Sequence[str], *, metric: str) -> None:
        """Add a view of a stage's trials with scores and hyperparameters to MLflow's pages.

        ``table_address`` gives its address.
        """
        self._client.set_experiment_tag(
            self._id, f"{VIEW}{stage}", table_view(stage, parameters, metric=metric)
        )

    def set_description(self, note: str) -> None:
        """Set the Markdown text that MLflow shows above the table of runs."""
        self._client.set_experiment_tag(self._id, NOTE, note[:_LONGEST_TAG])

    def start_run(self, *, stage: str, trial: str | None, at: datetime, tags: Mapping[str, str]) -> None:
        """Create the run of a trial below the run of its stage, or that of a stage (``trial`` None).

        Its status in MLflow is RUNNING.
        """
        name = trial or stage
        if name not in self._runs:
            named = {_STAGE: stage} | ({_TRIAL: trial, _PARENT: self._runs[stage] or ""} if trial else {})
            run = self._client.create_run(
                self._id, start_time=_milliseconds(at), run_name=name, tags={**tags, **named}
            )
            self._runs[name] = run.info.run_id

    def set_status(self, name: str, status: str) -> None:
        """Set MLflow's status of a run to SCHEDULED or RUNNING."""
        self._on(name, lambda run: self._client.update_run(run, status=status))

    def end_run(self, name: str, status: str, at: datetime) -> None:
        """End a run with MLflow's status FINISHED, FAILED or KILLED."""
        self._on(name, lambda run: self._client.set_terminated(run, status, _milliseconds(at)))

    def log_parameters(self, name: str, parameters: Mapping[str, object]) -> None:
        """Record parameters, which cannot be changed later in MLflow."""
        from mlflow.entities import Param

        params = [Param(accepted_name(key), str(value)) for key, value in parameters.items()]
        self._log(name, [], params, tags_of_long_names(parameters))

    def log(
        self,
        name: str,
        *,
        at: datetime,
        step: int = 0,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Record metrics and tags in one request, unless there are very many."""
        from mlflow.entities import Metric

        # MLflow stores equal metric, time, step and value once, so that a repeated call adds nothing.
        measured = [
            Metric(accepted_name(key), value, _milliseconds(at), step)
            for key, value in (metrics or {}).items()
        ]
        self._log(name, measured, [], {**(tags or {}), **tags_of_long_names(metrics or {})})

    def _log(
        self, name: str, metrics: "Sequence[Metric]", params: "Sequence[Param]", tags: Mapping[str, str]
    ) -> None:
        """Record everything in one request, or in as many as MLflow's limits need."""
        from mlflow.entities import RunTag

        tagged = [RunTag(key, value[:_LONGEST_TAG]) for key, value in tags.items()]
        batches = zip_longest(
            _batches(metrics, _METRICS_A_BATCH),
            _batches(params, _PARAMS_A_BATCH),
            _batches(tagged, _PARAMS_A_BATCH),
            fillvalue=(),
        )
        for some, others, last in batches:
            self._on(name, partial(self._client.log_batch, metrics=some, params=others, tags=last))

    def log_data(self, name: str, *, dataset: str, digest: str) -> None:
        """Record the name and digest of the data that a run used."""
        from mlflow.entities import Dataset, DatasetInput

        data = Dataset(name=dataset, digest=digest[:_LONGEST_DIGEST], source_type="local", source=dataset)
        self._on(name, lambda run: self._client.log_inputs(run, [DatasetInput(data)]))

    def log_file(self, name: str, path: Path) -> None:
        """Upload a file as an artifact of a run, replacing one of the same name."""
        self._on(name, lambda run: self._client.log_artifact(run, path))

    def log_contents(self, name: str, files: Mapping[str, bytes], place: str) -> None:
        """Upload contents by file name to the artifact folder ``place`` of a run, replacing equal names."""
        with TemporaryDirectory() as folder:
            for file, content in files.items():
                (Path(folder) / file).write_bytes(content)
            if files:
                self._on(name, lambda run: self._client.log_artifacts(run, folder, place))

    def log_record(self, name: str, record: Mapping[str, Any], file: str) -> None:
        """Upload a record as a JSON artifact of a run."""
        # MLflow's own log_dict fails at paths that are not text.
        self._on(name, lambda run: self._client.log_text(run, json.dumps(record, indent=2), file))

    def _known_runs(self) -> dict[str, str | None]:
        """Return run ids by name; None for a run that was deleted in MLflow, which stays deleted."""
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
    """Connect to the MLflow store at ``uri`` without log messages."""
    os.environ.update(quiet_variables())
    # MLflow logs pages about a full disk, which the follower reports in one line.
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _batches(entries: Sequence[Entry], size: int) -> list[Sequence[Entry]]:
    return [entries[start : start + size] for start in range(0, len(entries), size)]


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)

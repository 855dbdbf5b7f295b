"""MLflow experiment of a study, with runs named after its stages and trials."""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from hpo.config.environment import Environment
from hpo.tracking.changes import LONGEST_TAG, KnownRun, RunChanges, RunStart, milliseconds
from hpo.tracking.names import accepted_name, tags_of_long_names
from hpo.tracking.notes import NOTE
from hpo.tracking.registration import Label, Winner, register, rename_registered
from hpo.tracking.store import IDENTITY, artifact_folder, make_store, quiet_variables
from hpo.tracking.table import VIEW, table_view
from hpo.tracking.tracker import RecordRefusedError
from hpo.tracking.transaction import one_transaction

if TYPE_CHECKING:
    from mlflow import MlflowClient

BEST = "hpo.best"
"""Tag of trials: ``true`` for those of the best configuration of their stage, ``false`` for others."""
_RECORDED = "hpo.recorded_events"
_STAGE = "hpo.stage"
_TRIAL = "hpo.trial"
_PARENT = "mlflow.parentRunId"
_LONGEST_DIGEST = 36
_REFUSALS = {"BAD_REQUEST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST"}


class Experiment:
    """MLflow experiment of one study. Repeating a call changes nothing.

    Changes of runs are collected, and written by ``save``.
    """

    def __init__(self, client: "MlflowClient", experiment_id: str, recorded: int) -> None:
        """Open an existing experiment; use ``find_or_make``."""
        self.recorded = recorded
        """Number of recorded events, as last passed to ``save``; 0 for a new experiment."""
        self._client = client
        self._id = experiment_id
        self._marked: defaultdict[str, set[str]] = defaultdict(set)
        """Trials that are marked as best, by stage."""
        self._runs = self._known_runs()
        self._changes: dict[str, RunChanges] = {}
        """Changes by the name of the run, the run of a stage before those of its trials."""
        self._described: dict[str, str] = {}

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
            raise LookupError(
                f"experiment {found[0].name!r} was deleted in MLflow; restore it there with: "
                f"mlflow experiments restore -x {found[0].experiment_id}"
            )
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
        """Write all collected changes, then store the number of journal events that are recorded.

        Raises:
            RecordRefusedError: MLflow refused changes of a run permanently; other runs have theirs.
        """
        changes, self._changes = self._changes, {}
        refusals: list[RecordRefusedError] = []
        with one_transaction(self._client):
            self._on_each(changes, RunChanges.write, refusals)
        # Uploads may take long, and would hold up other writers of the database.
        self._on_each(changes, RunChanges.upload, refusals)
        if refusals:
            raise refusals[0]
        # Only the latest description of many events is written.
        with one_transaction(self._client):
            for tag, value in {**self._described, _RECORDED: str(recorded)}.items():
                self._client.set_experiment_tag(self._id, tag, value)
        self._described = {}

    def _on_each(
        self,
        changes: Mapping[str, RunChanges],
        call: "Callable[[RunChanges, MlflowClient, KnownRun], None]",
        refusals: list[RecordRefusedError],
    ) -> None:
        """Call a method of the changes of each run, and collect what MLflow refuses permanently."""
        for name, changed in changes.items():
            try:
                with _refusals():
                    if name not in self._runs:
                        self._runs[name] = self._create(name, changed)
                    run = self._runs[name]
                    if run is not None:
                        call(changed, self._client, run)
            except RecordRefusedError as refusal:
                refusals.append(refusal)

    def _create(self, name: str, changed: RunChanges) -> KnownRun:
        start = changed.start
        if start is None:
            raise RecordRefusedError(f"MLflow has no run {name}")
        stage = self._runs.get(start.parent) if start.parent else None
        parent = {_PARENT: stage.id if stage else ""} if start.parent else {}
        return changed.create(self._client, self._id, parent)

    def _changed(self, name: str) -> RunChanges:
        return self._changes.setdefault(name, RunChanges())

    def rename(self, study: str) -> None:
        """Give the experiment and its runs the new name of the study, as ``find_or_make`` would."""
        identity = self._client.get_experiment(self._id).tags[IDENTITY]
        named = self._client.get_experiment_by_name(study)
        if named is None:
            self._client.rename_experiment(self._id, study)
        elif named.experiment_id != self._id:
            self._client.rename_experiment(self._id, f"{study}-{identity[:8]}")
        self._client.set_experiment_tag(self._id, "hpo.study", study)
        rename_registered(self._client, identity, study)
        for run in [*self._runs, *self._changes]:
            self._changed(run).tags["hpo.study"] = study

    def add_table(self, stage: str, parameters: Sequence[str], *, metric: str) -> None:
        """Add a view of a stage's trials with scores and hyperparameters to MLflow's pages.

        ``table_address`` gives its address.
        """
        self._client.set_experiment_tag(
            self._id, f"{VIEW}{stage}", table_view(stage, parameters, metric=metric)
        )

    def describe(self, note: str, tags: Mapping[str, str]) -> None:
        """Set the Markdown text and the tags that MLflow shows in its list of experiments."""
        self._described = {NOTE: note[:LONGEST_TAG], **tags}

    def start_run(self, *, stage: str, trial: str | None, at: datetime, tags: Mapping[str, str]) -> None:
        """Create the run of a trial below the run of its stage, or that of a stage (``trial`` None).

        Its status in MLflow is RUNNING.
        """
        named = {_STAGE: stage} | ({_TRIAL: trial} if trial else {})
        self._changed(trial or stage).start = RunStart(
            name=trial or stage, at=at, tags={**tags, **named}, parent=stage if trial else None
        )

    def run_of(self, trial: str, attempt: int) -> str:
        """Return the name of the run of an attempt to train a trial; that of the last is the trial's."""
        retired = _retired(trial, attempt)
        return retired if retired in self._runs or retired in self._changes else trial

    def retire(self, trial: str, attempt: int) -> None:
        """Rename the run of a failed attempt, so that the next attempt gets a run with the trial's name.

        A trial whose run was deleted in MLflow stays deleted.
        """
        retired = _retired(trial, attempt)
        if self.run_of(trial, attempt) != retired and not self._move(trial, retired):
            return
        changed = self._changed(retired)
        changed.name = retired
        changed.tags |= {_TRIAL: retired, BEST: "false"}

    def _move(self, trial: str, retired: str) -> bool:
        """Take the run of a trial, if it has one, for that of a retired attempt; return whether it has."""
        is_deleted = trial in self._runs and self._runs[trial] is None
        if is_deleted or (trial not in self._runs and trial not in self._changes):
            return False
        if trial in self._runs:
            self._runs[retired] = self._runs.pop(trial)
        self._changes[retired] = self._changes.pop(trial, RunChanges())
        for marked in self._marked.values():
            marked.discard(trial)
        return True

    def mark_best(self, stage: str, trials: set[str]) -> None:
        """Mark the trials of the best configuration of a stage, and no others of the stage."""
        for trial in sorted(trials ^ self._marked[stage]):
            self._changed(trial).tags[BEST] = "true" if trial in trials else "false"
        self._marked[stage] = trials

    def set_status(self, name: str, status: str) -> None:
        """Set MLflow's status of a run to SCHEDULED or RUNNING."""
        changed = self._changed(name)
        changed.status, changed.ended_at = status, None

    def end_run(self, name: str, status: str, at: datetime) -> None:
        """End a run with MLflow's status FINISHED, FAILED or KILLED."""
        changed = self._changed(name)
        changed.status, changed.ended_at = status, at

    def log_parameters(self, name: str, parameters: Mapping[str, object]) -> None:
        """Record parameters, which cannot be changed later in MLflow."""
        changed = self._changed(name)
        changed.parameters |= {accepted_name(key): str(value) for key, value in parameters.items()}
        changed.tags |= tags_of_long_names(parameters)

    def log(
        self,
        name: str,
        *,
        at: datetime,
        step: int = 0,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Record metrics and tags."""
        from mlflow.entities import Metric

        changed = self._changed(name)
        # MLflow stores equal metric, time, step and value once, so that a repeated call adds nothing.
        changed.metrics += [
            Metric(accepted_name(key), value, milliseconds(at), step)
            for key, value in (metrics or {}).items()
        ]
        changed.tags |= {**(tags or {}), **tags_of_long_names(metrics or {})}

    def log_data(self, name: str, *, dataset: str, digest: str) -> None:
        """Record the name and digest of the data that a run used."""
        from mlflow.entities import Dataset, DatasetInput

        data = Dataset(name=dataset, digest=digest[:_LONGEST_DIGEST], source_type="local", source=dataset)
        self._changed(name).data = DatasetInput(data)

    def log_file(self, name: str, path: Path) -> None:
        """Upload a file as an artifact of a run, replacing one of the same name."""
        self._changed(name).uploads.append(lambda client, run: run.repository(client).log_artifact(str(path)))

    def log_contents(self, name: str, files: Mapping[str, bytes], place: str | None = None) -> None:
        """Upload contents by file name to the artifact folder ``place`` of a run, replacing equal names."""
        if files:
            self._changed(name).uploads.append(partial(_upload, files=files, place=place))

    def register(self, winner: Winner, label: Label) -> None:
        """Register the network of a trial in MLflow's model registry."""
        self._changed(winner.trial).uploads.append(
            lambda client, run: register(client, run.id, winner, label)
        )

    def log_record(self, name: str, record: Mapping[str, Any], file: str) -> None:
        """Upload a record as a JSON artifact of a run."""
        # MLflow's own log_dict fails at paths that are not text.
        self.log_contents(name, {file: json.dumps(record, indent=2).encode()})

    def _known_runs(self) -> dict[str, KnownRun | None]:
        """Return runs by name; None for a run that was deleted in MLflow, which stays deleted."""
        runs: dict[str, KnownRun | None] = {}
        page = None
        while page is None or page.token:
            page = self._client.search_runs(
                [self._id], run_view_type=3, page_token=page.token if page else None
            )
            for run in page:
                name = run.data.tags.get(_TRIAL) or run.data.tags.get(_STAGE)
                if name and run.data.tags.get(BEST) == "true":
                    self._marked[run.data.tags[_STAGE]].add(name)
                if name:
                    runs[name] = None if run.info.lifecycle_stage == "deleted" else KnownRun.of(run)
        return runs


def _retired(trial: str, attempt: int) -> str:
    """Return the name of the run of a failed attempt after which the trial is trained again."""
    return f"{trial} (attempt {attempt})"


def _upload(client: "MlflowClient", run: KnownRun, *, files: Mapping[str, bytes], place: str | None) -> None:
    with TemporaryDirectory() as folder:
        for file, content in files.items():
            (Path(folder) / file).write_bytes(content)
        run.repository(client).log_artifacts(folder, place)


@contextmanager
def _refusals() -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code in _REFUSALS:
            raise RecordRefusedError(str(error)) from error
        raise


def import_mlflow() -> None:
    """Import MLflow so that it logs no messages."""
    os.environ.update(quiet_variables())
    # MLflow logs pages about a full disk, which the follower reports in one line.
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    import mlflow  # noqa: F401  # for what it does when it is imported


def connect(uri: str) -> "MlflowClient":
    """Connect to the MLflow store at ``uri`` without log messages."""
    import_mlflow()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)

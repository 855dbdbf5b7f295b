"""Changes of an MLflow run that are written together, in as few requests as MLflow allows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Metric, Run
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

_RUNNING = "RUNNING"
LONGEST_TAG = 5000


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run that MLflow has."""

    id: str
    """Id of the run."""
    artifacts: str
    """Address of its artifacts."""

    @classmethod
    def of(cls, run: "Run") -> Self:
        """Return what identifies a run of MLflow."""
        return cls(run.info.run_id, run.info.artifact_uri)

    def repository(self, client: "MlflowClient") -> "ArtifactRepository":
        """Open the artifacts of the run.

        MLflow's client asks the store for their address, and keeps 1,024 open repositories of 8 KB each.
        """
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(self.artifacts, tracking_uri=client.tracking_uri)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart:
    """Properties with which a run is created."""

    name: str
    at: datetime
    tags: Mapping[str, str]
    parent: str | None
    """Name of the run above it; None for a stage."""


@dataclass(slots=True)
class RunChanges:
    """Changes of one run. A later value of a tag, a parameter or the status replaces an earlier one."""

    start: RunStart | None = None
    """Properties of a run to create; None if the run was created before."""
    name: str = ""
    """New name of the run; empty if it does not change."""
    metrics: "list[Metric]" = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    data: "DatasetInput | None" = None
    uploads: "list[Callable[[MlflowClient, KnownRun], object]]" = field(default_factory=list)
    """Functions that upload artifacts of the run."""
    status: str = ""
    """MLflow's status; empty if it does not change."""
    ended_at: datetime | None = None
    """End of the run; None while it is not ended."""

    def create(self, client: "MlflowClient", experiment: str, tags: Mapping[str, str]) -> KnownRun:
        """Create the run with all its tags, and ``tags`` besides, and return it."""
        if self.start is None:
            raise TypeError("a run that was created before is not created again")
        run = client.create_run(
            experiment,
            start_time=milliseconds(self.start.at),
            run_name=self.start.name,
            tags=_short({**self.start.tags, **self.tags, **tags}),
        )
        self.tags = {}
        if self.status == _RUNNING:  # as MLflow creates it
            self.status = ""
        return KnownRun.of(run)

    def write(self, client: "MlflowClient", run: KnownRun) -> None:
        """Write everything except the creation and the uploads. Repeating it changes nothing."""
        from mlflow.entities import Param, RunTag

        parameters = [Param(key, value) for key, value in self.parameters.items()]
        tags = [RunTag(key, value) for key, value in _short(self.tags).items()]
        # MLflow's client makes as many requests of it as the limits of the server require.
        client.log_batch(run.id, metrics=self.metrics, params=parameters, tags=tags)
        if self.name:
            client.update_run(run.id, name=self.name)
        if self.data is not None:
            client.log_inputs(run.id, [self.data])
        if self.ended_at is not None:
            client.set_terminated(run.id, self.status, milliseconds(self.ended_at))
        elif self.status:
            client.update_run(run.id, status=self.status)

    def upload(self, client: "MlflowClient", run: KnownRun) -> None:
        """Upload the artifacts; those of the same names are replaced."""
        for upload in self.uploads:
            upload(client, run)


def milliseconds(at: datetime) -> int:
    """Convert a time to MLflow's unit, milliseconds since 1970."""
    return int(at.timestamp() * 1000)


def _short(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value[:LONGEST_TAG] for key, value in tags.items()}

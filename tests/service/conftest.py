"""One service for all tests here: starting it takes half a minute."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e.command_line import CommandLine
from service.processes import Mlflow, Postgres, Process, RayCluster, answers, wait_for


@dataclass
class Service:
    """PostgreSQL, MLflow, and a Ray cluster of a head and two workers of one core each."""

    database: Process
    mlflow: Mlflow
    cluster: RayCluster
    workers: list[Process]
    stack: ExitStack
    """Stops what is put on it when all tests are done."""
    hpo: CommandLine
    """Where somebody types; it has the cluster's token and nothing of MLflow."""


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    pytest.importorskip("aiohttp_cors", reason="Ray's dashboard is not installed: pip install 'ray[default]'")
    pytest.importorskip("flask_wtf", reason="MLflow's users are not installed: pip install 'mlflow[auth]'")
    folder = tmp_path_factory.mktemp("service")
    (folder / "artifacts").mkdir()
    with ExitStack() as stack:
        postgres = Postgres()
        postgres.make(stack)
        database = postgres.start(stack)
        mlflow = Mlflow(postgres, folder / "artifacts")
        cluster = RayCluster(folder)
        server = mlflow.start(folder, stack)
        head = cluster.start_head(mlflow.client_variables(), stack)
        wait_for("the head", lambda: cluster.nodes() == 1, [head])
        # One after the other: workers that start at once on one machine take the same names for their files.
        first = cluster.start_worker("ray-worker-1", stack)
        wait_for("the first worker", lambda: cluster.nodes() == 2, [head, first])
        second = cluster.start_worker("ray-worker-2", stack)
        wait_for("the second worker", lambda: cluster.nodes() == 3, [head, first, second])
        wait_for("MLflow", lambda: answers(f"{mlflow.address}/health") == b"OK", [server])
        service = Service(database, mlflow, cluster, [first, second], stack, _terminal(folder, cluster))
        yield service
        # All at once: each takes seconds to end.
        for process in (*service.workers, head, server, service.database):
            process.terminate()


def _terminal(folder: Path, cluster: RayCluster) -> CommandLine:
    from model.data.synthetic import write_synthetic

    write_synthetic(folder / "data", games={"train": 2, "valid": 1, "test": 1}, dims=16, minutes=20, seed=1)
    here = folder / "here"
    here.mkdir()
    return CommandLine(here, folder / "data", folder / "cache", {"RAY_AUTH_TOKEN": cluster.token})

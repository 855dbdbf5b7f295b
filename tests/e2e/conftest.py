"""A small synthetic data set, and the command line on it."""

from pathlib import Path

import pytest
from e2e.command_line import CommandLine


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from model.data.synthetic import write_synthetic

    root = tmp_path_factory.mktemp("synthetic")
    write_synthetic(root, games={"train": 2, "valid": 1, "test": 1}, dims=16, minutes=20, seed=1)
    return root


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from hpo.config.environment import read_environment
    from hpo.tracking.store import make_store

    runs = tmp_path_factory.mktemp("store")
    make_store(read_environment({"HPO_RUNS": str(runs)}))
    return runs / "mlflow.db"


@pytest.fixture
def hpo(tmp_path: Path, small_data: Path, shared_cache: Path, empty_store: Path) -> CommandLine:
    return CommandLine(tmp_path, small_data, shared_cache).with_store(empty_store)

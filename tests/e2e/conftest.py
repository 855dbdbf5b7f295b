"""A small synthetic data set, and the command line on it."""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
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
def hpo(tmp_path: Path, small_data: Path, shared_cache: Path, empty_store: Path, ray: None) -> CommandLine:
    """Commands in this process. What must be a process of its own is ``hpo.start``, or ``hpo.apart``."""
    return CommandLine(tmp_path, small_data, shared_cache, here=True).with_store(empty_store)


@pytest.fixture
def own_code(module_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder for modules of a test, which this process and the trials of the shared Ray can import."""
    monkeypatch.syspath_prepend(module_folder)
    yield module_folder
    for module in module_folder.glob("*.py"):
        sys.modules.pop(module.stem, None)
        module.unlink()
    shutil.rmtree(module_folder / "__pycache__", ignore_errors=True)


@pytest.fixture
def hpo_with_own_code(hpo: CommandLine, own_code: Path) -> CommandLine:
    """Commands that can import the modules in ``own_code``, also in a process of their own."""
    places = [str(own_code), *filter(None, [os.environ.get("PYTHONPATH")])]
    return replace(hpo, variables={"PYTHONPATH": os.pathsep.join(places)})


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """An untrained network that fits the small data set."""
    import torch

    from model.encoding import Zones
    from model.networks.calf import CalfNetwork
    from model.networks.calf_config import NetworkConfig
    from model.timeline import FrameRate
    from model.weights.trained import TrainedNetwork

    config = NetworkConfig(input_size=16, classes=3, class_features=4, receptive_field_frames=20)
    network = CalfNetwork(config, torch.Generator().manual_seed(1))
    zones = Zones(((-20.0, -10.0, 10.0, 20.0),) * 3)
    file = tmp_path / "best.pt"
    TrainedNetwork(
        network=network, classes=("goal", "card", "substitution"), frame_rate=FrameRate(2.0), zones=zones
    ).save(file)
    return file

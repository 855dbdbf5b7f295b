"""The checks' setting on a processor, with games of a few minutes."""

from pathlib import Path

import pytest
import torch

from hpo.bench import setting as setting_module
from hpo.bench.setting import Setting
from model.data.stores.building import open_split
from model.data.synthetic import write_synthetic


@pytest.fixture(scope="session")
def short_games(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("short")
    write_synthetic(root / "games", games={"train": 1, "valid": 1, "test": 1}, dims=16, minutes=15)
    return root


@pytest.fixture
def setting(short_games: Path, tmp_path: Path) -> Setting:
    found = Setting(torch.device("cpu"), tmp_path, limit_s=600.0)
    found.games = short_games / "games"
    for name in ("train", "valid"):
        split = open_split(
            found.games, features=setting_module.FEATURES, split=name, cache=short_games / "cache"
        )
        setattr(found, name, split)
    return found

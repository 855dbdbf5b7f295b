"""A trial of a few chunks on a game or two."""

from pathlib import Path
from typing import Any

import pytest

from hpo.tasks.base.splits import SplitRef
from hpo.trial.specification import TrialSpec
from model.data.stores.building import open_split
from model.data.synthetic import write_synthetic

STUDY: dict[str, Any] = {
    "task": "calf",
    "training": {
        "epochs": 3,
        "validate_every": 1,
        "sampler": "balanced",
        "batch_size": 4,
        "chunks_per_epoch": 8,
    },
    "stages": {"bayes": {"trials": 1, "space": {"f": {"type": "int", "low": 1, "high": 8}}}},
}


@pytest.fixture(scope="module")
def games(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_synthetic(root, games={"train": 1, "valid": 1, "test": 1}, dims=8, minutes=15, seed=2)
    return root


@pytest.fixture(scope="module")
def splits(games: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, SplitRef]:
    cache = tmp_path_factory.mktemp("cache")
    names = ("train", "valid")
    return {
        name: SplitRef(
            path=str(open_split(games, features="synthetic", split=name, cache=cache).path), items=1
        )
        for name in names
    }


@pytest.fixture
def spec(splits: dict[str, SplitRef], tmp_path: Path) -> TrialSpec:
    return TrialSpec(
        trial="bayes-0001",
        parameters={"f": 2},
        seed=0,
        data_seed=1,
        study=STUDY,
        train=splits["train"],
        valid=splits["valid"],
        precision="float32",
        device="cpu",
        folder=str(tmp_path / "trial"),
    )

"""Files that would run code when unpickled are refused, and nothing in them runs."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from model.data.checks.check import check_dataset
from model.data.layout.description import builtin_description, write_description
from model.data.layout.game_files import write_game
from model.data.layout.split_lists import write_split
from model.data.single_game import Wanted, find_game, open_game
from model.data.stores.building import open_split
from model.data.stores.store import open_store
from model.errors import DataError
from model.timeline import FrameRate
from model.training.checkpoint import FORMAT, load_checkpoint
from model.weights.importing import import_published
from model.weights.trained import TrainedNetwork

GAME = "league/train/game-0"


class Planted:
    """Makes the file ``mark`` when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Where the planted code leaves its mark; it does when the pickle is loaded carelessly."""
    mark = tmp_path / "code-ran"
    pickle.loads(pickle.dumps(Planted(mark)))
    assert mark.exists()
    mark.unlink()
    return mark


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One game of random features."""
    root = tmp_path / "data"
    root.mkdir()
    description = builtin_description("wyscout")
    write_description(root, description)
    halves = [np.random.default_rng(half).normal(size=(300, 4)).astype(np.float32) for half in (1, 2)]
    labels = ("soccer-ball", "y-card", "substitution-in")
    write_game(
        root,
        GAME,
        stem="EVENTS",
        halves=halves,
        annotations=[{"gameTime": "1 - 01:00", "label": label} for label in labels],
        labels_file=description.labels_file,
    )
    write_split(root, description, "train", [GAME])
    return root


def object_array(file: Path, mark: Path) -> None:
    array = np.empty((300, 4), dtype=object)
    array[0, 0] = Planted(mark)
    np.save(file, array, allow_pickle=True)


def bare_pickle(file: Path, mark: Path) -> None:
    file.write_bytes(pickle.dumps(Planted(mark)))


def archive(file: Path, mark: Path) -> None:
    with file.open("wb") as stream:
        np.savez(stream, features=np.array([Planted(mark)], dtype=object))


def torch_file(file: Path, mark: Path) -> None:
    torch.save({"format": FORMAT, "state_dict": Planted(mark), "network": Planted(mark)}, file)


def old_torch_file(file: Path, mark: Path) -> None:
    torch.save({"format": FORMAT, "x": Planted(mark)}, file, _use_new_zipfile_serialization=False)


def keras_file(file: Path, mark: Path) -> None:
    with h5py.File(file, "w") as content:
        content.attrs["model_config"] = np.void(pickle.dumps(Planted(mark)))
        content["conv2d/kernel:0"] = np.void(pickle.dumps(Planted(mark)))


@pytest.mark.parametrize("plant", [object_array, bare_pickle, archive])
def test_features_with_planted_code_are_refused_unread(
    plant: Callable[[Path, Path], None], tmp_path: Path, mark: Path, data: Path
) -> None:
    file = data / GAME / "1_EVENTS.npy"
    plant(file, mark)
    report = check_dataset(data, features="EVENTS", splits=["train"])
    assert [problem.file for problem in report.problems] == [str(file)]
    with pytest.raises(DataError, match=r"1_EVENTS\.npy: not a readable \.npy file"):
        open_split(data, features="EVENTS", split="train", cache=tmp_path / "cache")
    with pytest.raises(DataError, match=r"1_EVENTS\.npy: not a readable \.npy file"):
        open_game(
            find_game(data / GAME), Wanted(dims=4, classes=["goal"], frame_rate=FrameRate(), stem="EVENTS")
        )
    assert not mark.exists()


@pytest.mark.parametrize("name", ["features", "past", "future", "actions"])
@pytest.mark.parametrize("plant", [object_array, bare_pickle])
def test_cache_with_planted_code_is_refused_unread(
    name: str, plant: Callable[[Path, Path], None], tmp_path: Path, mark: Path, data: Path
) -> None:
    store = open_split(data, features="EVENTS", split="train", cache=tmp_path / "cache")
    plant(store.path / f"{name}.npy", mark)
    with pytest.raises(DataError, match="the cached split is damaged"):
        open_store(store.path)
    assert not mark.exists()


@pytest.mark.parametrize("plant", [torch_file, old_torch_file, bare_pickle])
@pytest.mark.parametrize("read", [load_checkpoint, TrainedNetwork.load, import_published])
def test_checkpoints_and_weights_with_planted_code_are_refused_unread(
    plant: Callable[[Path, Path], None], read: Callable[[Path], object], tmp_path: Path, mark: Path
) -> None:
    plant(tmp_path / "best.pt", mark)
    with pytest.raises(DataError, match=r"checkpoint of tensors and plain values") as caught:
        read(tmp_path / "best.pt")
    assert str(tmp_path / "best.pt") in str(caught.value)
    assert not mark.exists()


@pytest.mark.parametrize("plant", [keras_file, bare_pickle, object_array, archive])
def test_keras_weights_with_planted_code_are_refused_unread(
    plant: Callable[[Path, Path], None], tmp_path: Path, mark: Path
) -> None:
    plant(tmp_path / "weights.h5", mark)
    with pytest.raises(DataError) as caught:
        import_published(tmp_path / "weights.h5")
    assert str(tmp_path / "weights.h5") in str(caught.value)
    assert not mark.exists()


def test_keras_weights_cannot_reach_into_other_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\0" * 64)
    with h5py.File(tmp_path / "weights.h5", "w") as content:
        content.create_dataset("conv2d/kernel:0", (16,), "<f4", external=[(str(secret), 0, 64)])
    with pytest.raises(DataError, match="refers to data in another file"):
        import_published(tmp_path / "weights.h5")


def test_keras_weights_of_any_claimed_size_take_no_memory(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "weights.h5", "w") as content:
        content.create_dataset("conv2d/kernel:0", (1 << 40,), "<f4", chunks=(1 << 10,))
    with pytest.raises(DataError, match="at most 256 MiB"):
        import_published(tmp_path / "weights.h5")

import errno
import os
import pickle
import re
from collections import defaultdict
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch

from model.errors import DataError, StorageError
from model.training.checkpoint import load_checkpoint, save_checkpoint
from model.training.outcomes import FailedError
from model.weights.trained import TrainedNetwork

CONTENT = {"epoch": 3, "name": "trial", "slots": [{"weights": torch.arange(6.0).view(2, 3)}]}


def test_content_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "last.pt"
    save_checkpoint(path, CONTENT)
    loaded = load_checkpoint(path)
    assert (loaded["epoch"], loaded["name"]) == (3, "trial")
    assert torch.equal(loaded["slots"][0]["weights"], CONTENT["slots"][0]["weights"])


def test_saving_replaces_the_last_checkpoint_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    for epoch in (1, 2):
        save_checkpoint(path, {"epoch": epoch})
    assert load_checkpoint(path)["epoch"] == 2
    assert list(tmp_path.iterdir()) == [path]


def test_save_that_stops_in_the_middle_leaves_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(content: object, buffer: BytesIO) -> None:
        buffer.write(b"a part")
        raise RuntimeError("the machine stops here")

    path = tmp_path / "last.pt"
    save_checkpoint(path, {"epoch": 1})
    monkeypatch.setattr(torch, "save", stop)
    with pytest.raises(RuntimeError, match="stops here"):
        save_checkpoint(path, {"epoch": 2, "weights": torch.zeros(999)})
    assert load_checkpoint(path)["epoch"] == 1


@pytest.mark.parametrize(
    ("learnt", "place"),
    [
        ({"model": object()}, "slot.learnt.model"),
        ({"layers": [1.0, np.array([None])]}, "slot.learnt.layers[1]"),
        ({"seen": defaultdict(int)}, "slot.learnt.seen"),
        ({Path("a"): 1}, "slot.learnt, a key"),
    ],
)
def test_value_that_could_not_be_loaded_is_refused_when_it_is_saved(
    learnt: dict[object, object], place: str, tmp_path: Path
) -> None:
    with pytest.raises(
        FailedError, match=f"cannot store {re.escape(place)} in a checkpoint: expected tensors"
    ):
        save_checkpoint(tmp_path / "last.pt", {"slot": {"learnt": learnt}})
    assert not (tmp_path / "last.pt").exists()


def test_numpy_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    values = np.arange(6, dtype=">f4").reshape(2, 3)
    names, none = np.array(["a", "bc"]), np.empty((0, 2), dtype=bool)
    content = {"layers": [values, (names, none)], "best": np.float64(0.5), np.int64(3): np.str_("x")}
    save_checkpoint(tmp_path / "last.pt", {"slot": content})
    assert content["layers"][0] is values, "what the caller has is not changed"
    loaded = load_checkpoint(tmp_path / "last.pt")["slot"]
    for saved, found in zip((values, names, none), (loaded["layers"][0], *loaded["layers"][1]), strict=True):
        assert found.dtype == saved.dtype
        assert np.array_equal(found, saved)
    assert (type(loaded["best"]), loaded["best"], loaded[3]) == (float, 0.5, "x")


def test_weights_keep_the_version_of_their_layers(tmp_path: Path) -> None:
    weights = torch.nn.BatchNorm1d(2).state_dict()
    save_checkpoint(tmp_path / "last.pt", {"network": weights, "seen": np.zeros(1)})
    loaded = load_checkpoint(tmp_path / "last.pt")["network"]
    assert loaded._metadata == weights._metadata


def test_array_without_its_content_is_damage(tmp_path: Path) -> None:
    for number, content in enumerate((3, b"no array")):
        torch.save({"format": 1, "seen": {"numpy.ndarray": content}}, tmp_path / f"{number}.pt")
        with pytest.raises(DataError, match="damaged"):
            load_checkpoint(tmp_path / f"{number}.pt")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_truncated_file_is_named_as_damaged(tmp_path: Path, share: float) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, CONTENT)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match="damaged") as error:
        load_checkpoint(path)
    assert str(path) in str(error.value)


def test_a_single_changed_bit_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"weights": torch.zeros(4096)})
    content = bytearray(path.read_bytes())
    content[content.index(bytes(9000)) + 100] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.EIO, os.strerror(errno.EIO)), "Input/output error"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_file_that_cannot_be_read_just_now_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    save_checkpoint(tmp_path / "last.pt", CONTENT)
    monkeypatch.setattr(Path, "read_bytes", fail)
    for load in (load_checkpoint, TrainedNetwork.load):
        with pytest.raises(StorageError) as raised:
            load(tmp_path / "last.pt")
        assert str(raised.value) == f"cannot read {tmp_path / 'last.pt'}: {reason}"


def test_whole_file_that_does_not_fit_into_memory_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory")

    save_checkpoint(tmp_path / "last.pt", CONTENT)
    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(StorageError, match="not enough memory"):
        load_checkpoint(tmp_path / "last.pt")


def test_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_checkpoint(tmp_path / "last.pt")


def test_file_of_another_format_is_refused(tmp_path: Path) -> None:
    torch.save({"format": 0, "epoch": 1}, tmp_path / "old.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    for name in ("old.pt", "list.pt"):
        with pytest.raises(DataError, match="format"):
            load_checkpoint(tmp_path / name)


class Intruder:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("intruder was here"),)


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "intruder": Intruder()}, tmp_path / "saved.pt")
    (tmp_path / "pickled.pt").write_bytes(pickle.dumps({"format": 1, "intruder": Intruder()}))
    for name in ("saved.pt", "pickled.pt"):
        with pytest.raises(DataError):
            load_checkpoint(tmp_path / name)
    assert not Path("intruder was here").exists()

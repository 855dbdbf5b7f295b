"""A copy that does not arrive whole is not kept."""

import errno
import os
from pathlib import Path

import pytest

from model.data.stores import copying
from model.data.stores.copying import FolderCopy
from model.errors import DataError, StorageError


@pytest.fixture
def copy(tmp_path: Path) -> FolderCopy:
    """The copy of a folder with one file of four bytes."""
    there = tmp_path / "there"
    there.mkdir()
    (there / "a.npy").write_bytes(b"abcd")
    return FolderCopy(there.as_uri(), tmp_path / "cache")


def fetch(copy: FolderCopy) -> int:
    with copy.locked():
        return copy.fetch(["a.npy"])


def test_file_that_is_shorter_than_its_original_is_not_kept(
    copy: FolderCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = copy._there.info
    with monkeypatch.context() as patch:
        patch.setattr(copy._there, "info", lambda path: {**info(path), "size": 5})
        with pytest.raises(DataError, match="expected 5 bytes, got 4") as refusal:
            fetch(copy)
    assert refusal.value.details["file"] == "a.npy"
    assert not (copy.folder / "a.npy").exists()
    assert fetch(copy) == 1 and (copy.folder / "a.npy").read_bytes() == b"abcd"


def test_file_that_the_disk_gives_back_otherwise_is_not_kept(
    copy: FolderCopy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_sha256", lambda file: "0" * 64)
    with pytest.raises(DataError, match="the file on the disk differs from what was downloaded"):
        fetch(copy)
    assert not (copy.folder / "a.npy").exists()


def test_copy_that_was_touched_is_read_once(copy: FolderCopy, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(copy)
    (copy.folder / "a.npy").touch()
    read: list[Path] = []

    def sha256(file: Path) -> str:
        read.append(file)
        return real(file)

    real = copying._sha256
    monkeypatch.setattr(copying, "_sha256", sha256)
    for _ in range(2):
        fetch(copy)
    assert read == [copy.folder / "a.npy"]


def test_line_of_the_list_that_a_kill_cut_costs_no_other(copy: FolderCopy) -> None:
    there = Path(copy._root)
    (there / "b.npy").write_bytes(b"efgh")
    fetch(copy)
    with copy._list.open("r+") as lines:
        lines.truncate(len(lines.read()) - 9)
    with copy.locked():
        assert copy._known == {}
        assert copy.fetch(["b.npy"]) == 1
    with copy.locked():
        assert list(copy._known) == ["b.npy"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_told_as_such(copy: FolderCopy, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match=f"no disk space for the data: {os.strerror(number)}") as refusal:
        fetch(copy)
    assert refusal.value.details["folder"] == str(copy.folder)
    assert not (copy.folder / "a.npy").exists()

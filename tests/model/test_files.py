import errno
import fcntl
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from model.errors import StorageError
from model.files import files_below, write_new, write_whole
from model.locks import LockHeldError, is_locked, locked, take_lock


def test_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_text("old")
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]
    assert file.stat().st_mode & 0o777 == 0o644


def test_file_with_other_content_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "answers.csv"
    for _ in range(2):
        write_new(file, b"new", refusal="the file exists", fix="move it")
    with pytest.raises(StorageError, match=r"the file exists\n.*answers.csv\n.*move it"):
        write_new(file, b"newer", refusal="the file exists", fix="move it")
    assert file.read_bytes() == b"new" and list(tmp_path.iterdir()) == [file]


def test_file_behind_a_link_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    target, link, dangling = tmp_path / "disk" / "a.toml", tmp_path / "a.toml", tmp_path / "b.toml"
    target.write_text("old")
    link.symlink_to("disk/a.toml")
    dangling.symlink_to("gone/b.toml")
    write_whole(link, b"new")
    write_whole(dangling, b"new")
    assert target.read_text() == "new" and link.is_symlink() and list(target.parent.iterdir()) == [target]
    assert dangling.read_text() == "new" and not dangling.is_symlink()


def test_failure_leaves_the_old_file_and_no_scraps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "labels.json"
    file.write_text("old")

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full") as raised:
        write_whole(file, b"new")
    assert raised.value.filename == str(file)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_files_behind_links_are_found_once_and_loops_end(tmp_path: Path) -> None:
    league, root = tmp_path / "disk" / "league", tmp_path / "root"
    (league / "game").mkdir(parents=True)
    root.mkdir()
    for file in (league / "game" / "a", league / "b", root / "c"):
        file.touch()
    (root / "league").symlink_to(league)
    (root / "other").symlink_to(league)
    (league / "game" / "all").symlink_to(root)
    found = [file.relative_to(root).as_posix() for file in files_below(root)]
    assert found == ["c", "league/b", "league/game/a"]


def test_lock_is_held_by_one_at_a_time_and_looking_at_it_does_not_take_it(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    assert not is_locked(file) and not file.exists()
    with locked(file):
        assert is_locked(file)
        with pytest.raises(LockHeldError):
            take_lock(file, wait_s=0)
    assert not is_locked(file)
    with file.open("rb") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        assert not is_locked(file)


def test_lock_that_another_process_holds_is_waited_for(tmp_path: Path) -> None:
    first = take_lock(tmp_path / "lock")
    threading.Timer(0.1, os.close, [first]).start()
    os.close(take_lock(tmp_path / "lock"))


def test_lock_whose_file_was_deleted_meanwhile_is_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, opened = tmp_path / "lock", []
    real = os.open

    def deleted_after_opening(*words: Any) -> int:
        opened.append(real(*words))
        if len(opened) == 1:
            file.unlink()
        return opened[-1]

    monkeypatch.setattr(os, "open", deleted_after_opening)
    descriptor = take_lock(file, wait_s=60)
    assert len(opened) == 2 and os.fstat(descriptor).st_ino == file.stat().st_ino
    os.close(descriptor)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for use in (take_lock, is_locked):
        (tmp_path / "lock").touch()
        with pytest.raises(StorageError, match=f"file system of {tmp_path} has no locks") as refused:
            use(tmp_path / "lock")
        assert "HPO_CACHE" in refused.value.details["fix"]

import errno
from pathlib import Path

import pytest

from model.files import files_below, write_whole


def test_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "labels.json"
    file.write_text("old")
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]
    assert file.stat().st_mode & 0o777 == 0o644


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

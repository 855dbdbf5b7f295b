"""Where a Ray of one command puts its sockets and logs."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hpo.schedule import ray_folder
from hpo.schedule.ray_folder import RayFolder
from model.errors import UserError


@pytest.fixture
def here() -> Iterator[Path]:
    """A folder with a short path, which those of pytest are not."""
    with TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def short(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place besides those of the environment."""
    place = here / "s"
    place.mkdir()
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(ray_folder, "_PLACES", (str(place),))
    return place


@pytest.fixture
def chosen(here: Path) -> Path:
    place = here / "c"
    place.mkdir()
    return place


def test_the_folder_is_empty_new_and_nobody_elses(short: Path) -> None:
    one, other = RayFolder().path, RayFolder().path
    assert one != other and one.parent == other.parent == short
    assert [file.name for file in one.iterdir()] == ["in-use"] and one.stat().st_mode & 0o77 == 0


def test_what_a_killed_process_left_is_deleted_by_the_next_and_what_is_in_use_is_not(short: Path) -> None:
    code = "import os; from hpo.schedule import ray_folder as r; r._PLACES = (os.sys.argv[1],); "
    code += "print(r.RayFolder().path, flush=True); os.kill(os.getpid(), 9)"
    killed = subprocess.run([sys.executable, "-c", code, short], capture_output=True, text=True, check=False)
    left = Path(killed.stdout.strip())
    assert left.is_dir()
    first = RayFolder()
    assert not left.exists()
    RayFolder()
    assert first.path.is_dir()


def test_a_folder_whose_logs_are_to_be_read_outlives_the_next(short: Path) -> None:
    kept, gone = RayFolder(), RayFolder()
    kept.keep()
    gone.delete()
    RayFolder()
    assert kept.path.is_dir() and not gone.path.exists()


def test_the_users_folder_for_temporary_files_comes_first(
    short: Path, chosen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(chosen))
    assert RayFolder().path.parent == chosen


@pytest.mark.parametrize("name", ["missing", "long" * 40, "ü", "quo'te", "back\\slash", "no text \udcfc"])
def test_a_place_where_ray_cannot_work_is_passed_over_and_left_clean(
    name: str, short: Path, chosen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name != "missing":
        (chosen / name).mkdir()
    monkeypatch.setenv("TMPDIR", str(chosen / name))
    assert RayFolder().path.parent == short
    assert name == "missing" or not list((chosen / name).iterdir())


def test_a_folder_of_another_user_in_the_way_does_not_matter(short: Path) -> None:
    (short / "ray").touch()
    assert RayFolder().path.parent == short


def test_a_full_disk_is_passed_over(short: Path, chosen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(chosen))
    write = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        if self.is_relative_to(chosen):
            raise OSError(28, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert RayFolder().path.parent == short


def test_the_place_that_was_set_is_the_only_one(
    short: Path, chosen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(chosen))
    assert RayFolder().path.parent == chosen


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing", "No such file or directory"), ("ü", "Ray cannot read a path with a letter outside ASCII")],
)
def test_the_place_that_was_set_is_refused_where_ray_cannot_work(
    name: str, reason: str, short: Path, chosen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(chosen / name))
    with pytest.raises(UserError, match=f"{name}: {reason}") as refused:
        RayFolder()
    assert "set RAY_TMPDIR" in refused.value.details["fix"]

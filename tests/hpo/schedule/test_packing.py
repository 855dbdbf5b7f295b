"""What travels to a cluster and what must not."""

from pathlib import Path

import pytest

import hpo
from hpo.schedule.packing import packed

OWN_TASK = """
from hpo.tasks.calf.task import CalfTask

class MineTask(CalfTask):
    name = "mine_task"

TASK = MineTask()
"""


def files(*packages: Path) -> set[str]:
    return {
        str(file.relative_to(package.parent))
        for package in packages
        for file in package.rglob("*")
        if file.is_file()
    }


def test_code_and_study_files_travel_and_nothing_else() -> None:
    stray = Path(str(hpo.__file__)).parent / "stray.env"
    stray.write_text("PASSWORD=1")
    try:
        with packed() as cargo:
            sent = files(*cargo.packages)
    finally:
        stray.unlink()
    assert {"hpo/cli/main.py", "model/training/array.py", "search_spaces/calf.toml"} <= sent
    assert "model/data/descriptions/wyscout.toml" in sent
    assert {Path(file).suffix for file in sent} == {".py", ".toml"}


def test_a_study_file_is_found_by_name_where_the_code_is_unpacked(tmp_path: Path) -> None:
    own = tmp_path / "my.study.toml"
    own.write_text('task = "calf"\nnote = 1\n')
    for words in (["--study-file", str(own)], [f"--study-file={own}"]):
        with packed(["run", "bayes", *words, "--trials", "3"]) as cargo:
            assert cargo.words == ("run", "bayes", "--study-file", "my-study", "--trials", "3")
            there = next(package for package in cargo.packages if package.name == "search_spaces")
            assert (there / "my-study.toml").read_text() == own.read_text()


def test_a_task_of_ones_own_travels_with_its_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_task.py").write_text(OWN_TASK)
    (tmp_path / "mine.toml").write_text('task = "mine_task"\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    with packed(task="mine_task") as cargo:
        assert "hpo/tasks/mine_task.py" in files(*cargo.packages)
    with packed(["run", "bayes", "--study-file", str(tmp_path / "mine.toml")]) as cargo:
        assert {"hpo/tasks/mine_task.py", "search_spaces/mine.toml"} <= files(*cargo.packages)
    with packed(task="calf") as cargo:
        assert "hpo/tasks/mine_task.py" not in files(*cargo.packages)


def test_words_that_name_no_file_here_stay_as_they_are() -> None:
    words = ("run", "bayes", "--study-file", "calf", "--data", "/on/the/cluster", "--study-file")
    with packed(words) as cargo:
        assert cargo.words == words


def test_nothing_is_left_behind() -> None:
    with packed() as cargo:
        folder = cargo.packages[0].parent
    assert not folder.exists()

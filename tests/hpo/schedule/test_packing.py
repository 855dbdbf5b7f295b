"""What travels to a cluster and what must not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import hpo
from hpo.schedule.packing import packed
from hpo.study.versions import code_digest

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
    assert {"hpo/cli/main.py", "model/training/trainer.py", "search_spaces/calf.toml"} <= sent
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


@pytest.mark.parametrize(
    ("task", "sources"),
    [
        ("flat_task", {"flat_task.py": OWN_TASK}),
        (
            "boxed_task",
            {"boxed_task/__init__.py": "from boxed_task.inner import TASK", "boxed_task/inner.py": OWN_TASK},
        ),
        ("outer_task.inner", {"outer_task/__init__.py": "", "outer_task/inner.py": OWN_TASK}),
    ],
)
def test_a_task_of_ones_own_travels_with_its_study_and_is_the_same_there(
    task: str, sources: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "mine.toml").write_text(f'task = "{task}"\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    with packed(["run", "bayes", "--study-file", str(tmp_path / "mine.toml")]) as cargo:
        (unpacked,) = {package.parent for package in cargo.packages}
        there = subprocess.run(
            [sys.executable, "-c", f"from hpo.study.versions import code_digest as d; print(d({task!r}))"],
            env={**os.environ, "PYTHONPATH": str(unpacked)},
            cwd=unpacked,
            capture_output=True,
            text=True,
            check=True,
        )
    with packed(["resume", "mine"], task=task) as cargo:
        assert cargo.packages[-1].name == next(iter(sources)).split("/")[0]
    before = code_digest(task)
    assert there.stdout.strip() == before
    (tmp_path / list(sources)[-1]).write_text(f"{OWN_TASK}\n# changed")
    assert code_digest(task) != before


def test_a_task_of_this_project_needs_nothing_beside_it() -> None:
    with packed(task="bmn") as cargo:
        assert [package.name for package in cargo.packages] == ["hpo", "model", "search_spaces"]


def test_words_that_name_no_file_here_stay_as_they_are() -> None:
    words = ("run", "bayes", "--study-file", "calf", "--data", "/on/the/cluster", "--study-file")
    with packed(words) as cargo:
        assert cargo.words == words


def test_nothing_is_left_behind() -> None:
    with packed() as cargo:
        folder = cargo.packages[0].parent
    assert not folder.exists()

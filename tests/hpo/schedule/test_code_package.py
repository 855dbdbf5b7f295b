"""What travels to a cluster and what must not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import hpo
from hpo.schedule.code_package import packaged_code
from hpo.tasks.base.versions import code_digest
from model.errors import ConfigError

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
        with packaged_code() as package:
            sent = files(*package.packages)
    finally:
        stray.unlink()
    assert {"hpo/cli/main.py", "model/training/trainer.py", "search_spaces/calf.toml"} <= sent
    assert "model/data/descriptions/wyscout.toml" in sent
    assert {Path(file).suffix for file in sent} == {".py", ".toml"}


def test_a_study_file_is_found_by_name_where_the_code_is_unpacked(tmp_path: Path) -> None:
    own = tmp_path / "my.study.toml"
    own.write_text('task = "calf"\nnote = 1\n')
    for words in (["--study-file", str(own)], [f"--study-file={own}"]):
        with packaged_code(["run", "bayes", *words, "--trials", "3"]) as package:
            assert package.arguments == ("run", "bayes", "--study-file", "my-study", "--trials", "3")
            there = next(folder for folder in package.packages if folder.name == "search_spaces")
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
    with packaged_code(["run", "bayes", "--study-file", str(tmp_path / "mine.toml")]) as package:
        (unpacked,) = {package.parent for package in package.packages}
        there = subprocess.run(
            [
                sys.executable,
                "-c",
                f"from hpo.tasks.base.versions import code_digest as d; print(d({task!r}))",
            ],
            env={**os.environ, "PYTHONPATH": str(unpacked)},
            cwd=unpacked,
            capture_output=True,
            text=True,
            check=True,
        )
    with packaged_code(["resume", "mine"], task=task) as package:
        assert package.packages[-1].name == next(iter(sources)).split("/")[0]
    before = code_digest(task)
    assert there.stdout.strip() == before
    (tmp_path / list(sources)[-1]).write_text(f"{OWN_TASK}\n# changed")
    assert code_digest(task) != before


def test_files_that_a_task_imports_travel_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = {
        "importing_task.py": f"import numpy\nimport helper_lib.steps\n{OWN_TASK}",
        "helper_lib/steps.py": "import helper_file",
        "helper_lib/unused.py": "",
        "helper_file.py": "",
    }
    for name, content in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    with packaged_code(task="importing_task") as package:
        names = [path.name for path in package.packages[3:]]
        assert names == ["helper_file.py", "helper_lib", "importing_task.py"]
        assert files(package.packages[4]) == {"helper_lib/steps.py"}


def test_links_to_nothing_and_folders_named_like_modules_do_not_travel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = tmp_path / "edited_task"
    (task / "v1.py").mkdir(parents=True)
    (task / "__init__.py").write_text(OWN_TASK)
    (task / ".#__init__.py").symlink_to("me@host.1234:5678")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = code_digest("edited_task")
    with packaged_code(task="edited_task") as package:
        assert files(package.packages[-1]) == {"edited_task/__init__.py"}
    (task / ".#__init__.py").unlink()
    assert code_digest("edited_task") == before


def test_a_task_of_this_project_needs_nothing_beside_it() -> None:
    with packaged_code(task="bmn") as package:
        assert [package.name for package in package.packages] == ["hpo", "model", "search_spaces"]


def test_words_that_name_no_file_here_stay_as_they_are() -> None:
    words = ("run", "bayes", "--study-file", "calf", "--data", "/on/the/cluster", "--study-file")
    with packaged_code(words) as package:
        assert package.arguments == words


@pytest.mark.parametrize("url", ['"json://bob:secret@host"', '["$NAME", "json://bob:secret@host"]'])
def test_a_study_file_with_an_address_for_notifications_does_not_travel(tmp_path: Path, url: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(f'task = "calf"\n[notify]\nurl = {url}\n')
    with pytest.raises(ConfigError, match=r"everybody can read the address in \[notify\] url") as refused:
        with packaged_code(["run", "bayes", "--study-file", str(own)]):
            pytest.fail("it was packaged")
    assert "secret" not in str(refused.value)
    own.write_text('task = "calf"\n[notify]\nurl = "$NAME"\n')
    with packaged_code(["run", "bayes", "--study-file", str(own)]) as package:
        assert package.arguments[-1] == "own"


def test_a_study_file_that_is_missing_is_refused_here() -> None:
    with pytest.raises(ConfigError, match="cannot read the study file"):
        with packaged_code(["run", "bayes", "--study-file", "./missing.toml"]):
            pytest.fail("it was packaged")


def test_nothing_is_left_behind() -> None:
    with packaged_code() as package:
        folder = package.packages[0].parent
    assert not folder.exists()

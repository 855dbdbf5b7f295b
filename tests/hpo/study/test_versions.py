"""The digest of the code covers what decides numbers, and not what only shows them."""

import subprocess
import sys
from pathlib import Path

import pytest

from hpo.study.versions import code_digest, git_commit, versions


@pytest.mark.parametrize(
    ("part", "decides"),
    [
        ("tasks/calf/task.py", True),
        ("search/searcher.py", True),
        ("schedule/asha.py", True),
        ("journal/ranking.py", True),
        ("schedule/cluster.py", False),
        ("model/wording.py", False),
        ("tasks/calf/presentation/tables.py", False),
    ],
)
def test_digest_changes_with_files_that_decide_numbers_only(
    part: str, decides: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, read = code_digest("calf"), Path.read_bytes

    def changed(path: Path) -> bytes:
        return read(path) + b"#" * path.as_posix().endswith(part)

    monkeypatch.setattr(Path, "read_bytes", changed)
    assert (code_digest("calf") != before) == decides


def test_digest_of_an_external_task_covers_all_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "external_task_of_a_test"
    (package / "presentation").mkdir(parents=True)
    (package / "__init__.py").write_text("from hpo.tasks.calf.task import TASK\n")
    shown = package / "presentation" / "steps.py"
    shown.write_text("STEP = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = code_digest(package.name)
    shown.write_text("STEP = 2\n")
    assert code_digest(package.name) != before
    sys.modules.pop(package.name)


def test_digest_of_a_function_covers_the_file_that_it_is_written_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = tmp_path / "function_of_a_test.py"
    function.write_text("def validate(parameters, seed, report):\n    return parameters['x']\n")
    declared = "TASK = hpo.function_task(validate, space={'x': (0.0, 1.0)}, own={'x': 0.5})\n"
    (tmp_path / "task_of_a_test.py").write_text(
        f"import hpo\nfrom function_of_a_test import validate\n{declared}"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    before = code_digest("task_of_a_test")
    function.write_text(function.read_text().replace("parameters['x']", "1 - parameters['x']"))
    assert code_digest("task_of_a_test") != before
    for module in ("task_of_a_test", "function_of_a_test"):
        sys.modules.pop(module)


def test_commit_of_the_users_folder_is_among_the_versions_and_says_whether_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "commit" not in versions()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "task.py").write_text("1")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout
    assert versions()["commit"] == commit.strip()
    (tmp_path / "task.py").write_text("2")
    assert versions()["commit"] == f"{commit.strip()}-dirty"


def test_machine_without_git_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit(tmp_path) is None

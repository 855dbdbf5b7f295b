"""The digest of the code covers what decides numbers, and not what only shows them."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpo.tasks.base.versions import code_digest, git_commit, imported_code, own_code_names, versions


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


IMPORTING = """
import hpo, torch
from lib_of_a_test import middle

def validate(parameters, seed, report):
    import late_of_a_test
    return late_of_a_test.scale(parameters["x"])

TASK = hpo.function_task(validate, space={"x": (0.0, 1.0)}, own={"x": 0.5})
"""


@pytest.fixture
def importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder of the task ``importing_of_a_test``, which imports others of its files."""
    (tmp_path / "importing_of_a_test.py").write_text(IMPORTING)
    (tmp_path / "late_of_a_test.py").write_text("def scale(x):\n    return x\n")
    (tmp_path / "unused_of_a_test.py").write_text("")
    library = tmp_path / "lib_of_a_test"
    library.mkdir()
    (library / "__init__.py").write_text("")
    (library / "middle.py").write_text("from .inner import FACTOR\n")
    (library / "inner.py").write_text("FACTOR = 2\n")
    (library / "unused.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for module in [name for name in sys.modules if name.partition(".")[0].endswith("_of_a_test")]:
        sys.modules.pop(module)


@pytest.mark.parametrize(
    ("file", "decides"),
    [
        ("late_of_a_test.py", True),
        ("lib_of_a_test/__init__.py", True),
        ("lib_of_a_test/middle.py", True),
        ("lib_of_a_test/inner.py", True),
        ("lib_of_a_test/unused.py", False),
        ("unused_of_a_test.py", False),
    ],
)
def test_digest_of_a_task_covers_the_files_of_the_user_that_it_imports_anywhere(
    file: str, decides: bool, importing: Path
) -> None:
    before = code_digest("importing_of_a_test")
    (importing / file).write_text((importing / file).read_text() + "# changed\n")
    assert (code_digest("importing_of_a_test") != before) == decides


def test_imported_files_are_named_and_installed_packages_are_not_among_them(importing: Path) -> None:
    names = [name for name, _ in imported_code("importing_of_a_test")]
    library = [f"lib_of_a_test/{file}.py" for file in ("__init__", "inner", "middle")]
    assert names == ["late_of_a_test.py", *library]
    assert own_code_names("importing_of_a_test") == [
        "importing_of_a_test.py",
        *names[:3],
        "another file that it imports",
    ]


def test_digest_does_not_depend_on_what_has_been_imported(importing: Path) -> None:
    before = code_digest("importing_of_a_test")
    importlib.import_module((importing / "late_of_a_test.py").stem)
    assert code_digest("importing_of_a_test") == before


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

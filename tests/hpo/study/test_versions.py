"""The digest of the code covers what decides numbers, and not what only shows them."""

import sys
from pathlib import Path

import pytest

from hpo.study.versions import code_digest


@pytest.mark.parametrize(
    ("part", "decides"),
    [
        ("tasks/calf/task.py", True),
        ("search/searcher.py", True),
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

"""Versions of the code and of the packages that results depend on."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import hpo
import model
from hpo.journal.events import COMMIT
from hpo.tasks.base.registry import external_task_code, task_named

_PACKAGES = ("torch", "numpy", "ray", "mlflow", "botorch", "bayesian-optimization", "optuna")
# Code that decides numbers: after a change elsewhere (a table, a display) a study can still be resumed.
_DECISIVE = (
    (model, "**/*.py"),
    (hpo, "space/*.py"),
    (hpo, "search/*.py"),
    (hpo, "trial/*.py"),
    (hpo, "programs/*.py"),
    (hpo, "schedule/asha.py"),
    (hpo, "schedule/median.py"),
    (hpo, "journal/ranking.py"),
    (hpo, "tasks/base/*.py"),
)
_NEVER_DECISIVE = ("model/wording.py", "model/shell.py", "model/data/download/")
"""Files and folders of these packages that decide no number."""

SHOWN_DIGITS = 12
"""Number of digits of a digest that are shown."""
_GIT_S = 10.0
"""Longest wait for git, which reads all files of a large repository."""
_PRESENTATION = "presentation"
"""Folder of a task's tables, figures and commands."""


def versions() -> dict[str, str]:
    """Return the versions of this project, of Python and of the packages that results depend on.

    The git commit of the current folder is among them, if it has one.
    """
    found = {"hpo": hpo.__version__, "python": platform.python_version()}
    found.update({name: metadata.version(name) for name in _PACKAGES})
    if commit := git_commit(Path.cwd()):
        found[COMMIT] = commit
    return found


def git_commit(folder: Path) -> str | None:
    """Return the git commit of a folder, with ``-dirty`` after it if files differ; None if there is none."""
    describe = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(
            describe,
            cwd=folder,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_GIT_S,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):  # no git, no repository, or not a user's own
        return None
    return answer.stdout.strip() or None


def code_digest(task: str) -> str:
    """Return the SHA-256 of all code that influences results, including the user's own task."""
    digest = hashlib.sha256()
    for package, pattern in _DECISIVE:
        root = Path(str(package.__file__)).parent
        for path in sorted(root.glob(pattern)):
            name = f"{root.name}/{path.relative_to(root).as_posix()}"
            if not name.startswith(_NEVER_DECISIVE):
                digest.update(f"{name}\0".encode())
                digest.update(path.read_bytes())
    for name, path in _task_files(task):
        digest.update(f"{name}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _task_files(task: str) -> Iterator[tuple[str, Path]]:
    """Yield the files of a task that decide numbers, with their names; of an external task all files."""
    external = external_task_code(task)
    code = external or Path(str(hpo.__file__)).parent / "tasks" / task
    for path in sorted(code.rglob("*.py")) if code.is_dir() else [code]:
        place = path.relative_to(code.parent)
        if external or _PRESENTATION not in place.parts:
            yield place.as_posix(), path
    if external:
        yield from ((path.name, path) for path in _files_elsewhere(task, external))


def own_code_names(task: str) -> list[str]:
    """Return the names of the file or folder, and of the files elsewhere, that make a user's own task."""
    own = external_task_code(task)
    return [own.name, *(path.name for path in _files_elsewhere(task, own))] if own else []


def _files_elsewhere(task: str, own: Path) -> list[Path]:
    return sorted(path for path in task_named(task).code_files if not path.is_relative_to(own.resolve()))

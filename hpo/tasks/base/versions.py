"""Versions of the code and of the packages that results depend on."""

import hashlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import hpo
import model
from hpo.journal.events import COMMIT
from hpo.tasks.base.imports import NamedFile, imported_files
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
_SHOWN_FILES = 3
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
        for path in sorted(code_files(root, pattern)):
            name = f"{root.name}/{path.relative_to(root).as_posix()}"
            if not name.startswith(_NEVER_DECISIVE):
                digest.update(f"{name}\0".encode())
                digest.update(path.read_bytes())
    for name, content in sorted((name, path.read_bytes()) for name, path in _task_files(task)):
        digest.update(f"{name}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def own_code_names(task: str) -> list[str]:
    """Return the names of the file or folder of a user's own task, and of the first files elsewhere."""
    own = external_task_code(task)
    if own is None:
        return []
    others = [name for name, _ in (*imported_code(task), *_code_elsewhere(task))]
    return [
        own.name,
        *others[:_SHOWN_FILES],
        *(["another file that it imports"] if others[_SHOWN_FILES:] else []),
    ]


def imported_code(task: str) -> list[NamedFile]:
    """Return the files of the user that the code of an external task imports, beside this code itself."""
    return imported_files(_files_in(task)) if external_task_code(task) else []


def code_files(folder: Path, *patterns: str) -> list[Path]:
    """Return the files in a folder that match one of the patterns, such as ``**/*.py``.

    Links to nothing do not count, such as those with which Emacs marks a file that it has open.
    """
    return [path for pattern in patterns for path in folder.glob(pattern) if path.is_file()]


def _task_files(task: str) -> list[NamedFile]:
    """Return the files of a task that decide numbers; of an external task all files, and those it imports."""
    return [*_files_in(task), *imported_code(task), *_code_elsewhere(task)]


def _files_in(task: str) -> list[NamedFile]:
    """Return the files in the folder of a task, or the one that is the task, without tables and figures."""
    external = external_task_code(task)
    code = external or Path(str(hpo.__file__)).parent / "tasks" / task
    files = [
        (path.relative_to(code.parent), path)
        for path in (code_files(code, "**/*.py") if code.is_dir() else [code])
    ]
    return [
        (name.as_posix(), path) for name, path in sorted(files) if external or _PRESENTATION not in name.parts
    ]


def _code_elsewhere(task: str) -> list[NamedFile]:
    """Return the files of an external task's functions that no import statement leads to."""
    if external_task_code(task) is None:
        return []
    known = {path.resolve() for _, path in (*_files_in(task), *imported_code(task))}
    return [(path.name, path) for path in task_named(task).code_files if path not in known]

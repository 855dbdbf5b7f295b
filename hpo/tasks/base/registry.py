"""Tasks by the names that study files have for them."""

import importlib
import pkgutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hpo.tasks
from hpo.config.study_file import StudyFile, invalid_study, read_study_file, validate_study
from hpo.journal.events import StudyCreated
from hpo.tasks.base.task import Task
from model.errors import ConfigError

AnyTask = Task[Any, Any, Any, Any]


def task_named(name: str) -> AnyTask:
    """The task of that name: one of this package, or of any module that Python finds and that has a ``TASK``.

    Raises:
        ConfigError: There is none.
    """
    module = f"hpo.tasks.{name}.task" if name in known_tasks() else name
    try:
        task = getattr(importlib.import_module(module), "TASK", None)
    except Exception as error:  # whatever a module of somebody else does when it is imported
        raise _unknown(name, f"{type(error).__name__}: {error}") from error
    if not isinstance(task, Task):
        raise _unknown(name, f"module {module!r} has no TASK")
    return task


def known_tasks() -> list[str]:
    """Those of this package."""
    return sorted(module.name for module in pkgutil.iter_modules(hpo.tasks.__path__) if module.name != "base")


def external_task_code(name: str) -> Path | None:
    """File of the module, or folder of the package, of a task from elsewhere; None for one of this project.

    Raises:
        ConfigError: There is no such task.
    """
    if name in known_tasks():
        return None
    task_named(name)
    whole = sys.modules[name.partition(".")[0]]
    # A package without __init__ has a path and no file.
    file = Path(getattr(whole, "__file__", None) or next(iter(whole.__path__)))
    return file.parent if file.name == "__init__.py" else file


def task_of(created: StudyCreated) -> AnyTask:
    """The task of a study in a journal."""
    return task_named(created.plan["study"]["task"])


def load_study(name_or_path: str | Path) -> StudyFile:
    """Read an installed study file by its name, such as ``calf``, or any other by its path.

    Raises:
        ConfigError: No such file, not a TOML file, or settings that cannot be used (all of them are named).
    """
    document, file = read_study_file(name_or_path)
    return parse_study(document, file=file)


def parse_study(document: Mapping[str, Any], *, file: str) -> StudyFile:
    """Validate the tables of a study file by its task; ``file`` says in errors where they come from.

    Raises:
        ConfigError: No such task, or settings that cannot be used; all of them are named.
    """
    name = document.get("task") if isinstance(document, Mapping) else None
    if not isinstance(name, str):
        known = f"one of {', '.join(known_tasks())}"
        fault = f"missing (needs {known})" if name is None else f"expected {known}, got {name!r:.60}"
        raise invalid_study({"task": fault}, file=file)
    try:
        task = task_named(name)
    except ConfigError as error:
        raise invalid_study({"task": error.message}, file=file) from None
    return validate_study(task.study_file, document, file=file)


def _unknown(name: str, reason: str) -> ConfigError:
    known = ", ".join(known_tasks())
    return ConfigError(
        f"expected one of {known}, or a module on PYTHONPATH with a TASK, got {name!r:.60}: {reason:.200}"
    )

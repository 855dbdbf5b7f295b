"""Lookup of tasks by their names in study files."""

import importlib
import pkgutil
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import hpo.tasks
from hpo.config.environment import is_job
from hpo.config.study_file import StudyFile, invalid_study, read_study_file, validate_study
from hpo.journal.events import StudyCreated
from hpo.tasks.base.description import TaskDescription
from hpo.tasks.base.score import Score
from hpo.tasks.base.task import Task
from model.errors import ConfigError, UserError
from model.shell import shell_line
from model.wording import described

AnyTask = Task[Any, Any, Any, Any]
"""A task of any kind."""
AnyDescription = TaskDescription[Any, Any]
"""The description of a task of any kind."""


class UnknownTaskError(ConfigError):
    """Error for a task that is neither one of this package nor in an importable module."""

    def __init__(self, name: str, reason: str) -> None:
        """Say what was expected; ``reason`` is why ``name`` is no task."""
        known = ", ".join(known_tasks())
        super().__init__(
            f"expected one of {known}, or a module on PYTHONPATH with a TASK, got {name!r:.60}: {reason:.200}"
        )
        self.reason = reason


def task_named(name: str) -> AnyTask:
    """Return the task ``name`` of this package, or the ``TASK`` of the importable module ``name``.

    Raises:
        UnknownTaskError: No such task or module exists, or the module has no ``TASK``.
        ConfigError: What the module declares is invalid.
    """
    module = f"hpo.tasks.{name}.task" if name in known_tasks() else name
    try:
        task = getattr(importlib.import_module(module), "TASK", None)
    except UserError as error:  # what the module declares is invalid, such as the space of a function
        raise ConfigError(f"task {name}: {error.message}", **error.details) from error
    except Exception as error:  # the import of a module outside this package can raise anything
        raise UnknownTaskError(name, described(error)) from error
    if not isinstance(task, Task):
        found = "no TASK" if task is None else f"TASK = {task!r:.60}, which is no task"
        raise UnknownTaskError(name, f"module {module!r} has {found}")
    return task


def description_named(name: str) -> AnyDescription:
    """Return the description of the task ``name``, for a task of this package without the code that trains.

    Raises:
        ConfigError: No such task or module exists, or the module has no ``TASK``.
    """
    if name not in known_tasks():
        return task_named(name)
    description: AnyDescription = importlib.import_module(f"hpo.tasks.{name}.description").DESCRIPTION
    return description


def known_tasks() -> list[str]:
    """Return the names of the tasks of this package."""
    return sorted(module.name for module in pkgutil.iter_modules(hpo.tasks.__path__) if module.name != "base")


def external_task_code(name: str) -> Path | None:
    """Return the module file or package folder of a task outside this package; None for one of this package.

    Raises:
        ConfigError: The task does not exist.
    """
    if name in known_tasks():
        return None
    task_named(name)
    top = sys.modules[name.partition(".")[0]]
    # A package without __init__ has a path but no file.
    file = Path(getattr(top, "__file__", None) or next(iter(top.__path__)))
    return file.parent if file.name == "__init__.py" else file


def description_of(created: StudyCreated) -> AnyDescription:
    """Return the description of a study's task, from the first event of its journal.

    Raises:
        UserError: The module of the task cannot be imported here, or what it declares is invalid.
    """
    name = created.plan["study"]["task"]
    try:
        return description_named(name)
    except UnknownTaskError as error:
        sent = shell_line("hpo", "submit", "--task", name, "--", "resume", created.study)
        raise UserError(
            f"study {created.study!r} needs its task, the module {name!r}: {error.reason:.200}",
            fix=f"send the module with the job: {sent}"
            if is_job()
            else "correct the module, or name the folder that contains it: export PYTHONPATH=FOLDER",
        ) from error


def score_of(created: StudyCreated) -> Score:
    """Return the score that a study maximises, from the first event of its journal."""
    return description_of(created).score_in(created.plan["study"])


def units_note_of(created: StudyCreated, symbols: Collection[str]) -> str:
    """Return a sentence about the units of a study's hyperparameters with these symbols.

    Reads the first event of the study's journal.
    """
    description = description_of(created)
    return description.units_note(description.shape_from_json(created.plan["shape"]), symbols)


def classes_of(created: StudyCreated) -> tuple[str, ...]:
    """Return the classes of a study's data, from the first event of its journal."""
    return tuple(created.plan.get("shape", {}).get("classes", ()))


def load_study(name_or_path: str | Path) -> StudyFile:
    """Read and validate an installed study file by its name, such as ``calf``, or another one by its path.

    Raises:
        ConfigError: The file cannot be read, is not valid TOML, or has invalid settings; all are listed.
    """
    document, file = read_study_file(name_or_path)
    return parse_study(document, file=file)


def parse_study(document: Mapping[str, Any], *, file: str) -> StudyFile:
    """Validate the tables of a study file for its task; error messages name ``file`` as their source.

    Raises:
        ConfigError: The task does not exist, or settings are invalid; the error lists all of them.
    """
    name = document.get("task") if isinstance(document, Mapping) else None
    if not isinstance(name, str):
        known = f"one of {', '.join(known_tasks())}"
        fault = f"missing (needs {known})" if name is None else f"expected {known}, got {name!r:.60}"
        raise invalid_study({"task": fault}, file=file)
    try:
        study_file = description_named(name).study_file
    except ConfigError as error:
        raise invalid_study({"task": error.message}, file=file) from None
    return validate_study(study_file, document, file=file)

"""Errors in the code of a task outside this package, shown with the place in that code."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hpo.tasks.base.registry import external_task_code
from model.errors import ConfigError, UserError
from model.training.outcomes import FailedError
from model.wording import described


@contextmanager
def own_errors(task: str) -> Iterator[None]:
    """Convert errors that the code of ``task`` raises inside the context into a ``ConfigError``.

    Errors of this package, and those that a user can fix, pass through.
    """
    try:
        yield
    except (UserError, FailedError):
        raise
    except Exception as error:
        place = place_in_task(error, task)
        if not place:
            raise
        raise ConfigError(f"the task {task} raised {described(error)}", at=place) from error


def place_in_task(error: BaseException, task: str) -> str:
    """Return where in the code of ``task`` an error arose, such as ``line.py, line 61, in validate``.

    The result is empty for a task of this package, and if the error did not pass through the task's code.
    """
    code = external_task_code(task)
    if code is None:
        return ""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _lies_in(frame.filename, code)]
    if not frames:
        return ""
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}, in {frames[-1].name}"


def _lies_in(file: str, code: Path) -> bool:
    path, code = Path(file).resolve(), code.resolve()
    return path == code or code in path.parents

"""Errors that a user can fix. Everything else is a bug and may show a traceback."""

from collections.abc import Sequence
from dataclasses import dataclass


class UserError(Exception):
    """Something was expected, something else came; says where and what to do.

    Args:
        message: One line: what was expected and what came.
        details: Extra lines, such as ``{"file": ..., "known": ..., "fix": ...}``.
    """

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = {name: str(value) for name, value in details.items()}

    def __str__(self) -> str:
        """The message and one indented line per detail."""
        width = max((len(name) for name in self.details), default=0) + 1
        lines = [f"  {name + ':':<{width}} {value}" for name, value in self.details.items()]
        return "\n".join([self.message, *lines])


class ConfigError(UserError):
    """A setting is out of its range or contradicts another."""


class StorageError(UserError):
    """A folder cannot be written, as on a full disk: nothing that goes on there can succeed."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a data set."""

    file: str
    """Path as the user would open it."""
    place: str
    """Where in the file: an annotation, a row, a key; may be empty."""
    message: str
    """What was expected and what came."""

    def __str__(self) -> str:
        """One line: file, place, message."""
        return f"{self.file}: {self.place + ': ' if self.place else ''}{self.message}"


class DataError(UserError):
    """A data set cannot be used; every problem found is listed."""

    LISTED = 20

    def __init__(self, message: str, problems: Sequence[Problem] = (), **details: object) -> None:
        super().__init__(message, **details)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        """The message, its details and the first problems."""
        lines = [f"  - {problem}" for problem in self.problems[: self.LISTED]]
        hidden = len(self.problems) - self.LISTED
        if hidden > 0:
            lines.append(f"  ... and {hidden} more")
        return "\n".join([super().__str__(), *lines])

"""Errors that a user can fix; any other exception is a bug and may show a traceback."""

from collections.abc import Sequence
from dataclasses import dataclass

from model.wording import printable


class UserError(Exception):
    """Base of all errors that a user can fix: names what was expected, what was found and what to do.

    Args:
        message: One line: what was expected and what was found.
        details: Extra lines, such as ``{"file": ..., "known": ..., "fix": ...}``.
    """

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = {name: str(value) for name, value in details.items()}

    def __str__(self) -> str:
        """Return the message and one indented line per detail."""
        width = max((len(name) for name in self.details), default=0) + 1
        lines = [f"  {name + ':':<{width}} {value}" for name, value in self.details.items()]
        return "\n".join([self.message, *lines])


class ConfigError(UserError):
    """Error for a setting that is out of range or contradicts another setting."""


class StorageError(UserError):
    """Error for a folder or file that cannot be read or written, for example on a full disk."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a data set."""

    file: str
    """Path of the file, as the user would open it."""
    place: str
    """Position in the file, such as an annotation, a row or a key; may be empty."""
    message: str
    """Description of what was expected and what was found."""

    def __str__(self) -> str:
        """Return one line: file, place, message; characters that nobody would see are escapes."""
        place = f"{printable(self.place)}: " if self.place else ""
        return f"{printable(self.file)}: {place}{self.message}"


class DataError(UserError):
    """Error for a data set that cannot be used; lists every problem found."""

    LISTED = 20

    def __init__(self, message: str, problems: Sequence[Problem] = (), **details: object) -> None:
        super().__init__(message, **details)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        """Return the message, its details and the first problems."""
        lines = [f"  - {problem}" for problem in self.problems[: self.LISTED]]
        hidden = len(self.problems) - self.LISTED
        if hidden > 0:
            lines.append(f"  ... and {hidden} more")
        return "\n".join([super().__str__(), *lines])

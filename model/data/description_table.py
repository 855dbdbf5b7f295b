"""Checks on the keys of a ``dataset.toml``, so that all mistakes are reported at once."""

import difflib
import math
import re
from collections.abc import Mapping
from typing import Any

from model.errors import DataError, Problem

_KEYS = ("name", "frame_rate", "labels_file", "ignored_labels", "classes", "features", "splits")
_CLASS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]*")


class DescriptionTable:
    """Reads keys of the right kind out of a parsed file and remembers what was wrong."""

    def __init__(self, source: str, content: Mapping[str, Any]) -> None:
        self._source = source
        self._content = content
        self._problems: list[Problem] = []
        for key in content:
            if key not in _KEYS:
                nearest = difflib.get_close_matches(key, _KEYS, n=1, cutoff=0)[0]
                self._add(key, f'unknown key; did you mean "{nearest}"?')

    def raise_problems(self) -> None:
        """Raise a DataError with every mistake found so far, if there was any."""
        if self._problems:
            raise DataError("this data set description is wrong", self._problems)

    def frame_rate(self) -> float:
        """Frames per second; SoccerNet's 2 where the file does not say."""
        value = self._content.get("frame_rate", 2.0)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf:
            return float(value)
        self._add("frame_rate", f"expected a positive number of frames per second, came {value!r}")
        return 1.0

    def text(self, key: str) -> str:
        """A required non-empty string."""
        value = self._content.get(key)
        if isinstance(value, str) and value:
            return value
        self._add(key, f"expected a text, came {'nothing' if value is None else repr(value)}")
        return ""

    def patterns(self, key: str) -> tuple[str, ...]:
        """An optional list of label patterns."""
        return self._patterns(key, self._content.get(key, []))

    def classes(self) -> dict[str, tuple[str, ...]]:
        """Class -> label patterns, in the order of the file."""
        table = self._table("classes")
        if not table:
            self._add("classes", "expected at least one class = [label patterns]")
        for name in table:
            if not _CLASS_NAME.fullmatch(name):
                self._add(
                    f"classes.{name}", "expected a class name of letters, digits, '.', '_', '-' and spaces"
                )
        classes = {name: self._patterns(f"classes.{name}", value) for name, value in table.items()}
        for name in (name for name, patterns in classes.items() if not patterns):
            self._add(f"classes.{name}", "expected at least one label pattern")
        return classes

    def text_table(self, key: str) -> dict[str, str]:
        """An optional table of strings."""
        table = self._table(key)
        for name, value in table.items():
            if not isinstance(value, str) or not value:
                self._add(f"{key}.{name}", f"expected a text, came {value!r}")
        return {name: str(value) for name, value in table.items()}

    def _table(self, key: str) -> dict[str, Any]:
        value = self._content.get(key, {})
        if isinstance(value, dict):
            return value
        self._add(key, f"expected a table [{key}], came {value!r}")
        return {}

    def _patterns(self, place: str, value: object) -> tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(pattern, str) and pattern for pattern in value):
            return tuple(value)
        self._add(place, f"expected a list of label patterns, came {value!r}")
        return ("?",)

    def _add(self, place: str, message: str) -> None:
        self._problems.append(Problem(self._source, place, message))

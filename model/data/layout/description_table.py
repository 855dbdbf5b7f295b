"""Check the keys of a ``dataset.toml`` and report all mistakes at once."""

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Any

from model.documents import is_number
from model.errors import DataError, Problem
from model.files import path_fault
from model.recipe import Recipe
from model.timeline import MOST_PARTS

KEYS = (
    "name",
    "labels",
    "frame_rate",
    "parts",
    "labels_file",
    "ignored_labels",
    "classes",
    "features",
    "splits",
)
HIGHEST_RATE = 1000.0
"""Largest number of feature vectors per second."""
ALL_CLASSES = "default"
"""Name that stands in study files for all classes that are not named there, so that no class can have it."""
_CLASS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]*")


class DescriptionTable:
    """Typed access to the keys of a parsed file; collects every mistake that it finds."""

    def __init__(self, source: str, content: Mapping[str, Any]) -> None:
        self._source = source
        self._content = content
        self._problems: list[Problem] = []
        for key in content:
            if key not in KEYS:
                nearest = difflib.get_close_matches(key, KEYS, n=1, cutoff=0)[0]
                self._add(key, f'unknown key; did you mean "{nearest}"?')

    def raise_problems(self) -> None:
        """Raise a DataError that lists all mistakes found so far, if there are any."""
        if self._problems:
            raise DataError("this data set description is invalid", self._problems)

    def frame_rate(self) -> float | None:
        """Return the frames per second of all features; None if the file does not say."""
        value = self._content.get("frame_rate")
        return None if value is None else self._rate("frame_rate", value)

    def parts(self) -> int | None:
        """Return the number of parts (halves) of every game; None if the file does not say."""
        value = self._content.get("parts")
        if value is None or (type(value) is int and 1 <= value <= MOST_PARTS):
            return value
        self._add(
            "parts", f"expected a whole number of parts of a game, 1 to {MOST_PARTS}, got {value!r:.60}"
        )
        return None

    def labels(self, known: Collection[str]) -> str | None:
        """Return the version of SoccerNet's labels, one of ``known``; None if the file does not say."""
        value = self._content.get("labels")
        if value is None or value in tuple(known):
            return value
        self._add(
            "labels",
            f"expected {' or '.join(known)} of SoccerNet, got {value!r:.60}; leave it out for other labels",
        )
        return None

    def has(self, key: str) -> bool:
        """Whether the file has ``key``."""
        return key in self._content

    def refuse_all(self, keys: Collection[str], reason: str) -> None:
        """Report every one of ``keys`` that the file has, with the reason."""
        for key in keys:
            if key in self._content:
                self._add(key, f"cannot be given here: {reason}")

    def text(self, key: str) -> str:
        """Return the required non-empty string under ``key``."""
        value = self._content.get(key)
        if isinstance(value, str) and value:
            return value
        message = "missing" if value is None else f"got {value!r:.60}"
        self._add(key, f"{message} (expected a non-empty string)")
        return ""

    def path(self, key: str) -> str:
        """Return the required path under ``key``, which must stay within a game's folder."""
        return self._inside(key, self.text(key))

    def patterns(self, key: str) -> tuple[str, ...]:
        """Return the optional list of label patterns under ``key``."""
        return self._patterns(key, self._content.get(key, []))

    def classes(self) -> dict[str, tuple[str, ...]]:
        """Return a table of class -> label patterns, in the order of the file."""
        table = self._table("classes")
        if not table:
            self._add(
                "classes",
                "expected at least one class = [label patterns]; to add those of your annotations: "
                "hpo data labels --from FILE --to FOLDER",
            )
        for name in table:
            if not _CLASS_NAME.fullmatch(name):
                self._add(
                    f"classes.{name}",
                    "expected a class name that begins with a letter or digit and has only letters, digits, "
                    "'.', '_', '-' and spaces",
                )
        if ALL_CLASSES in table:
            self._add(
                f"classes.{ALL_CLASSES}",
                "this name stands in study files for all classes that are not named; choose another one",
            )
        classes = {name: self._patterns(f"classes.{name}", value) for name, value in table.items()}
        for name in (name for name, patterns in classes.items() if not patterns):
            self._add(f"classes.{name}", "expected at least one label pattern")
        owners: dict[str, str] = {}
        for name, pattern in ((name, each) for name, patterns in classes.items() for each in patterns):
            owner = owners.setdefault(pattern.casefold(), name)
            if owner != name:
                self._add(
                    f"classes.{name}", f"the label {pattern!r:.60} is one of the class {owner!r:.60} already"
                )
        return classes

    def features(self) -> tuple[dict[str, str], dict[str, float], dict[str, Recipe]]:
        """Return tables of feature name -> stem of the files, stem -> frames per second, stem -> recipe."""
        stems: dict[str, str] = {}
        rates: dict[str, float] = {}
        recipes: dict[str, Recipe] = {}
        for name, value in self._table("features").items():
            place = f"features.{name}"
            table = value if isinstance(value, dict) else {"stem": value}
            stem, per_second = table.get("stem"), table.get("frame_rate")
            if not isinstance(stem, str) or not stem or table.keys() - {"stem", "frame_rate", "recipe"}:
                self._add(
                    place, f'got {value!r:.60} (expected "STEM" or {{ stem = "STEM", frame_rate = 5 }})'
                )
                continue
            if "/" in stem:
                self._add(place, "expected the stem of files in a game's own folder, got a path")
            else:
                self._inside(place, stem)
            stems[name] = stem
            if per_second is not None:
                self._once(place, "frame_rate", rates, stem, self._rate(place, per_second))
            if "recipe" in table:
                try:
                    self._once(place, "recipe", recipes, stem, _recipe(table["recipe"]))
                except ValueError as error:
                    self._add(f"{place}.recipe", str(error))
        return stems, rates, recipes

    def _once(self, place: str, key: str, table: dict[str, Any], stem: str, value: object) -> None:
        """Set the value of the files ``stem``, which may have several names but only one value."""
        if table.setdefault(stem, value) != value:
            self._add(f"{place}.{key}", f"another name of the files {stem!r:.60} says something else")

    def splits(self, known: Collection[str]) -> dict[str, str]:
        """Return a table of split -> path of its list of games; splits other than ``known`` are mistakes."""
        table = self._text_table("splits")
        for name in (name for name in table if name not in known):
            self._add(f"splits.{name}", f"unknown split; known: {', '.join(known)}")
        return {name: self._inside(f"splits.{name}", path) for name, path in table.items()}

    def _rate(self, place: str, value: object) -> float:
        if is_number(value) and 0 < value <= HIGHEST_RATE:
            return float(value)
        self._add(
            place, f"expected frames per second above 0 and at most {HIGHEST_RATE:g}, got {value!r:.60}"
        )
        return 1.0

    def _text_table(self, key: str) -> dict[str, str]:
        table = self._table(key)
        for name, value in table.items():
            if not isinstance(value, str) or not value:
                self._add(f"{key}.{name}", f"got {value!r:.60} (expected a non-empty string)")
        return {name: value for name, value in table.items() if isinstance(value, str) and value}

    def _inside(self, place: str, path: str) -> str:
        fault = path_fault(path) if path else None
        if fault:
            self._add(place, f"{path!r:.60} cannot be used: {fault}")
        return path

    def _table(self, key: str) -> dict[str, Any]:
        value = self._content.get(key, {})
        if isinstance(value, dict):
            return value
        self._add(key, f"expected a table [{key}], got {value!r:.60}")
        return {}

    def _patterns(self, place: str, value: object) -> tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(pattern, str) and pattern for pattern in value):
            return tuple(value)
        self._add(place, f"expected a list of label patterns, got {value!r:.60}")
        return ("?",)

    def _add(self, place: str, message: str) -> None:
        shown = place if place.isprintable() else repr(place)
        self._problems.append(Problem(self._source, shown[:80], message))


def _recipe(value: object) -> Recipe:
    if not isinstance(value, dict):
        raise ValueError(f"expected a table, got {value!r:.60}")
    return Recipe.read(value)

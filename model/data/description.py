"""Description of a data set, read from ``dataset.toml``: classes, labels, features and splits."""

import difflib
import fnmatch
import functools
import importlib.resources
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from model.data.description_table import DescriptionTable
from model.documents import MAX_TOML_BYTES, parse_toml, read_limited
from model.errors import DataError
from model.files import write_whole
from model.timeline import FrameRate

DESCRIPTION_FILE = "dataset.toml"
BUILTIN_NAMES = ("soccernet-v1", "soccernet-v2", "wyscout")
SPLITS = ("train", "valid", "test")


class UnknownLabelError(KeyError):
    """Error for a label that belongs to no class and is not ignored."""

    def __init__(self, label: str, known: int, nearest: str | None) -> None:
        hint = f"; nearest known label is {nearest!r:.60}" if nearest else ""
        self.message = f"unknown label {label!r:.60} ({known} classes known{hint})"
        super().__init__(self.message)

    def __str__(self) -> str:
        """Return the message without the quotes that a KeyError adds."""
        return self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetDescription:
    """Content of one ``dataset.toml``."""

    name: str
    frame_rate: FrameRate
    """Feature vectors per second."""
    labels_file: str
    """Name of the JSON file with the annotations in every game folder."""
    classes: tuple[str, ...]
    """Names of the classes, in the order of their indices."""
    patterns: Mapping[str, tuple[str, ...]]
    """Class -> label patterns with wildcards ``*`` and ``?``; case is ignored and the first match wins."""
    ignored: tuple[str, ...]
    """Patterns of labels to ignore, which belong to no class."""
    features: Mapping[str, str]
    """Name on the command line -> stem of the feature files."""
    splits: Mapping[str, str]
    """Split -> text file with one game path per line, relative to the data folder."""

    def feature_stem(self, name: str) -> str:
        """Return the stem of the feature files that ``name`` stands for: an alias, or the stem itself."""
        return self.features.get(name, name)

    def class_of(self, label: str) -> int | None:
        """Return the index of the class of ``label``, or None for an ignored label.

        Raises:
            UnknownLabelError: No pattern matches; the message names the nearest known label.
        """
        for index, name in enumerate(self.classes):
            if any(_fits(pattern, label) for pattern in self.patterns[name]):
                return index
        if any(_fits(pattern, label) for pattern in self.ignored):
            return None
        raise UnknownLabelError(label, len(self.classes), self._nearest(label))

    def _nearest(self, label: str) -> str | None:
        known = {
            pattern.strip("*").casefold(): pattern.strip("*")
            for patterns in self.patterns.values()
            for pattern in patterns
        }
        close = difflib.get_close_matches(label.casefold(), known, n=1, cutoff=0.4)
        return known[close[0]] if close else None


def read_description(root: Path) -> DatasetDescription:
    """Read the description of the data in folder ``root``.

    It comes from ``dataset.toml``. Without this file, a game with ``Labels.json`` means SoccerNet-v1 and a
    game with ``Labels-v2.json`` means SoccerNet-v2.

    Raises:
        DataError: None of these files exists, or ``dataset.toml`` is invalid (all mistakes are listed).
    """
    if not root.is_dir():
        raise DataError(
            f"no such data folder: {root}", fix="give the folder that contains <league>/<season>/<game>"
        )
    file = root / DESCRIPTION_FILE
    if file.is_file():
        return parse_description(_read(file), source=str(file))
    for name in ("soccernet-v1", "soccernet-v2"):
        description = builtin_description(name)
        if next(root.glob(f"*/*/*/{description.labels_file}"), None) is not None:
            return description
    raise DataError(
        "this folder contains no known data set",
        folder=root,
        expected=(
            f"{DESCRIPTION_FILE}, */*/*/Labels.json (SoccerNet-v1) or */*/*/Labels-v2.json (SoccerNet-v2)"
        ),
        fix=f"write a {DESCRIPTION_FILE} that names classes, frame rate, features and splits",
    )


def builtin_description(name: str) -> DatasetDescription:
    """Read the built-in description ``name``, one of ``BUILTIN_NAMES``.

    Raises:
        DataError: There is no built-in description of this name.
    """
    if name not in BUILTIN_NAMES:
        raise DataError(f"no built-in data set description {name!r}", known=", ".join(BUILTIN_NAMES))
    file = importlib.resources.files("model.data.descriptions") / f"{name}.toml"
    return parse_description(file.read_bytes(), source=f"{name}.toml")


def parse_description(content: bytes | str, *, source: str) -> DatasetDescription:
    """Parse the content of a ``dataset.toml``; errors name ``source`` as its origin.

    Raises:
        DataError: The content is not TOML, or keys are missing, unknown or of the wrong type; all of them
            are listed.
    """
    try:
        document = parse_toml(content)
    except ValueError as error:
        raise DataError("this file is not valid TOML", file=source, reason=error) from error
    table = DescriptionTable(source, document)
    per_second = table.frame_rate()
    patterns = table.classes()
    name, labels_file = table.text("name"), table.path("labels_file")
    ignored = table.patterns("ignored_labels")
    features, splits = table.features(), table.splits(SPLITS)
    table.raise_problems()
    return DatasetDescription(
        name=name,
        frame_rate=FrameRate(per_second),
        labels_file=labels_file,
        classes=tuple(patterns),
        patterns=patterns,
        ignored=ignored,
        features=features,
        splits=splits,
    )


def write_description(root: Path, description: DatasetDescription) -> None:
    """Write ``description`` as ``dataset.toml`` into the existing folder ``root``, atomically."""
    document = {
        "name": description.name,
        "frame_rate": description.frame_rate.per_second,
        "labels_file": description.labels_file,
        "ignored_labels": description.ignored,
        "classes": description.patterns,
        "features": description.features,
        "splits": description.splits,
    }
    write_whole(root / DESCRIPTION_FILE, tomli_w.dumps(document).encode())


def _read(file: Path) -> bytes:
    try:
        return read_limited(file, MAX_TOML_BYTES)
    except (OSError, ValueError) as error:
        raise DataError("this data set description cannot be read", file=file, reason=error) from error


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # Brackets are part of labels, not sets of characters as in file names.
    return re.compile(fnmatch.translate(pattern.casefold().replace("[", "[[]")))


def _fits(pattern: str, label: str) -> bool:
    return _compiled(pattern).match(label.casefold()) is not None

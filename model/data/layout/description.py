"""Description of a data set, read from ``dataset.toml``: classes, labels, features and splits."""

import dataclasses
import difflib
import fnmatch
import functools
import importlib.resources
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import tomli_w

from model.data.layout.description_table import DescriptionTable
from model.data.layout.rates import published_rate, stated_rate
from model.documents import MAX_TOML_BYTES, parse_toml, read_limited
from model.errors import DataError
from model.files import write_whole
from model.recipe import Recipe
from model.shell import shell_line
from model.timeline import FrameRate

DESCRIPTION_FILE = "dataset.toml"
UNFINISHED = ".unfinished"
"""File with the name of a data set that is being generated or converted; it has no description yet."""
BUILTIN_NAMES = ("soccernet-v1", "soccernet-v2", "wyscout")
SPLITS = ("train", "valid", "test")
LABELS = {"v1": "soccernet-v1", "v2": "soccernet-v2"}
"""Version of SoccerNet's labels -> name of its description."""
_OF_LABELS = ("labels_file", "classes", "ignored_labels")
"""Keys that ``labels`` decides."""
_ASSUMED_RATE = 2.0


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
    frame_rate: FrameRate | None
    """Feature vectors per second of all features. None: not declared; see ``rate_of``."""
    rates: Mapping[str, FrameRate] = dataclasses.field(default_factory=dict)
    """Stem of feature files -> its feature vectors per second, where it is declared."""
    recipes: Mapping[str, Recipe] = dataclasses.field(default_factory=dict)
    """Stem of feature files -> how they were extracted from videos, where it is known."""
    parts: int | None = None
    """Number of parts (halves) of every game. None: those that its files name."""
    labels_file: str
    """Name of the JSON file with the annotations in every game folder."""
    classes: tuple[str, ...]
    """Names of the classes, in the order of their indices."""
    patterns: Mapping[str, tuple[str, ...]]
    """Class -> label patterns with wildcards ``*`` and ``?``; case is ignored. A pattern that equals the
    label goes before wildcards, and of several matches the first wins."""
    ignored: tuple[str, ...]
    """Patterns of labels to ignore, which belong to no class."""
    features: Mapping[str, str]
    """Name on the command line -> stem of the feature files."""
    splits: Mapping[str, str]
    """Split -> text file with one game path per line, relative to the data folder."""
    unused_labels: str | None = None
    """Version of other SoccerNet labels in the folder, if nobody chose between the two."""

    @property
    def labels_version(self) -> str | None:
        """Version of SoccerNet's labels in the label files, ``v1`` or ``v2``; None for any other labels."""
        for version, name in LABELS.items():
            soccernet = builtin_description(name)
            if self.labels_file == soccernet.labels_file and set(self._all_patterns()) <= set(
                soccernet._all_patterns()
            ):
                return version
        return None

    @property
    def is_soccernet(self) -> bool:
        """Whether the games are those of SoccerNet: by their labels and by the name of the data set."""
        # Games of one's own can have either: its labels, or a name such as soccernet-handball.
        return self.labels_version is not None and self.name.startswith("soccernet")

    @property
    def label_texts(self) -> tuple[str, ...]:
        """The label of every class for files of spots, which its patterns match where that is possible.

        It is the first pattern without wildcards, else the first one without the ``*`` at its ends
        (``timeout`` for ``timeout*``), else the class name.
        """
        return tuple(_label_text(name, self.patterns[name]) for name in self.classes)

    def rate_of(self, stem: str) -> FrameRate:
        """Return the feature vectors per second of the files with ``stem``.

        It is the rate declared for these features, else the one that their name states or that SoccerNet has
        published for them, else the one declared for the data set, else 2 as in SoccerNet. In other data,
        features of a published name are only assumed to have the published rate.

        Raises:
            DataError: The data set declares another rate than the one that is known.
        """
        declared, known = self.rates.get(stem), self._known_rate(stem)
        if declared is None and known is not None and self.frame_rate not in (None, known):
            assert self.frame_rate is not None
            raise DataError(
                f"features {stem} have {known}, but {DESCRIPTION_FILE} says "
                f"frame_rate = {self.frame_rate.per_second:g}",
                fix=f'declare the rate of these features: [features] NAME = {{ stem = "{stem}", '
                f"frame_rate = {known.per_second:g} }}",
            )
        return declared or known or self.frame_rate or published_rate(stem) or FrameRate(_ASSUMED_RATE)

    def assumes_rate(self, stem: str) -> bool:
        """Whether nothing states the rate of the files with ``stem``."""
        return stem not in self.rates and self._known_rate(stem) is None and self.frame_rate is None

    def _known_rate(self, stem: str) -> FrameRate | None:
        published = None if self.labels_version is None else published_rate(stem)
        return published or stated_rate(stem)

    def feature_stem(self, name: str) -> str:
        """Return the stem of the feature files that ``name`` stands for: an alias, or the stem itself."""
        return self.features.get(name, name)

    def list_of(self, split: str) -> str:
        """Return the path of the list of a split's games below the data folder."""
        return self.splits.get(split, f"{split}.txt")

    def class_of(self, label: str) -> int | None:
        """Return the index of the class of ``label``, or None for an ignored label.

        Raises:
            UnknownLabelError: No pattern matches; the message names the nearest known label.
        """
        # Labels can have * and ? themselves: "Foul?" must not take "Fouls" from its own class.
        for matches in (_equals, _fits):
            for index, name in enumerate(self.classes):
                if any(matches(pattern, label) for pattern in self.patterns[name]):
                    return index
            if any(matches(pattern, label) for pattern in self.ignored):
                return None
        raise UnknownLabelError(label, len(self.classes), self._nearest(label))

    def _all_patterns(self) -> tuple[str, ...]:
        return tuple(pattern for patterns in self.patterns.values() for pattern in patterns)

    def _nearest(self, label: str) -> str | None:
        known = {
            pattern.strip("*").casefold(): pattern.strip("*")
            for patterns in self.patterns.values()
            for pattern in patterns
        }
        close = difflib.get_close_matches(label.casefold(), known, n=1, cutoff=0.4)
        return known[close[0]] if close else None


def read_description(root: Path, labels: str | None = None) -> DatasetDescription:
    """Read the description of the data in folder ``root``.

    It comes from ``dataset.toml``. Without this file, games with ``Labels.json`` mean SoccerNet-v1 and games
    with ``Labels-v2.json`` mean SoccerNet-v2; if there are both, the version that more games have, else v1.

    Args:
        root: The data folder.
        labels: Version of SoccerNet's labels to read, ``v1`` or ``v2``. None: what the folder says.

    Raises:
        DataError: None of these files exists, ``dataset.toml`` is invalid (all mistakes are listed), or it
            contradicts ``labels``.
    """
    if not root.is_dir():
        raise DataError(
            f"no such data folder: {root}", fix="give the folder that contains <league>/<season>/<game>"
        )
    if labels is not None and labels not in LABELS:
        raise DataError(f"expected labels {' or '.join(LABELS)}, got {labels!r:.60}")
    file = root / DESCRIPTION_FILE
    if file.is_file():
        description = parse_description(_read(file), source=str(file))
        if labels not in (None, description.labels_version):
            assert labels is not None
            raise DataError(
                f"expected labels {labels}, but {DESCRIPTION_FILE} describes the data set "
                f"{description.name!r} with {description.labels_file}",
                file=file,
                fix=f"leave --labels out, or {advice_to_read(labels)}",
            )
        return description
    if (root / UNFINISHED).is_file():
        raise DataError(
            "the data set in this folder is not finished",
            folder=root,
            fix="run the command that writes it again",
        )
    return _soccernet(root, labels)


def advice_to_read(labels: str) -> str:
    """Return the advice how a ``dataset.toml`` gets other labels of SoccerNet."""
    return (
        f'write labels = "{labels}" at the top of {DESCRIPTION_FILE}, in place of its labels, '
        f"{', '.join(_OF_LABELS[:-1])} and {_OF_LABELS[-1]}"
    )


def _first_step(root: Path) -> str:
    """Return the advice how a folder without a description becomes a data set."""
    if (root / "events.zip").is_file() or any(root.glob("events_*.json")):
        command = shell_line("hpo", "data", "wyscout", "--from", str(root), "--to", "NEW")
        return f"make a data set of these files of Wyscout with: {command}"
    return (
        f"write a {DESCRIPTION_FILE} that names classes, frame rate, features and splits, or begin with: "
        f"{shell_line('hpo', 'data', 'new', str(root))}"
    )


def _soccernet(root: Path, labels: str | None) -> DatasetDescription:
    """Return SoccerNet's description for the label files in ``root``."""
    games = soccernet_games(root)
    chosen = labels or usual_labels(games)
    if not games[chosen]:
        raise DataError(
            "this folder contains no known data set" if labels is None else f"no game has labels {labels}",
            folder=root,
            expected=(
                f"{DESCRIPTION_FILE}, */*/*/Labels.json (SoccerNet-v1) or */*/*/Labels-v2.json (SoccerNet-v2)"
                if labels is None
                else f"*/*/*/{builtin_description(LABELS[labels]).labels_file}"
            ),
            fix=_first_step(root),
        )
    other = next((version for version in LABELS if version != chosen and games[version]), None)
    unused = other if labels is None else None
    return dataclasses.replace(builtin_description(LABELS[chosen]), unused_labels=unused)


def usual_labels(games: Mapping[str, Collection[Path]]) -> str:
    """Return the version of SoccerNet's labels that most games have; v1 if as many have either."""
    return max(games, key=lambda version: len(games[version]))


def soccernet_games(root: Path) -> dict[str, frozenset[Path]]:
    """Return the folders of the games in ``root`` that have SoccerNet's labels, by their version."""
    return {
        version: frozenset(
            file.parent for file in root.glob(f"*/*/*/{builtin_description(name).labels_file}")
        )
        for version, name in LABELS.items()
    }


@functools.cache
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
    if table.has("labels"):
        version = table.labels(LABELS)
        # With an unknown version the file is invalid; its other keys are those of either version.
        return _extended(builtin_description(LABELS[version or "v2"]), table)
    frame_rate, parts = table.frame_rate(), table.parts()
    patterns = table.classes()
    name, labels_file = table.text("name"), table.path("labels_file")
    ignored = table.patterns("ignored_labels")
    (features, rates, recipes), splits = table.features(), table.splits(SPLITS)
    table.raise_problems()
    return DatasetDescription(
        name=name,
        frame_rate=_rate_or_none(frame_rate),
        rates={stem: FrameRate(rate) for stem, rate in rates.items()},
        recipes=recipes,
        parts=parts,
        labels_file=labels_file,
        classes=tuple(patterns),
        patterns=patterns,
        ignored=ignored,
        features=features,
        splits=splits,
    )


def _extended(base: DatasetDescription, table: DescriptionTable) -> DatasetDescription:
    """Return SoccerNet's description ``base`` with the keys that a ``dataset.toml`` adds."""
    table.refuse_all(_OF_LABELS, "labels already decides it")
    frame_rate, parts = table.frame_rate(), table.parts()
    (features, rates, recipes), splits = table.features(), table.splits(SPLITS)
    name = table.text("name") if table.has("name") else base.name
    table.raise_problems()
    return dataclasses.replace(
        base,
        name=name,
        frame_rate=_rate_or_none(frame_rate),
        rates={stem: FrameRate(rate) for stem, rate in rates.items()},
        recipes=recipes,
        parts=parts,
        features={**base.features, **features},
        splits={**base.splits, **splits},
    )


def _rate_or_none(per_second: float | None) -> FrameRate | None:
    return None if per_second is None else FrameRate(per_second)


def write_description(root: Path, description: DatasetDescription) -> None:
    """Write ``description`` as ``dataset.toml`` into the existing folder ``root``, atomically."""
    document: dict[str, object] = {
        "name": description.name,
        "labels_file": description.labels_file,
        "ignored_labels": description.ignored,
    }
    if description.frame_rate is not None:
        document["frame_rate"] = description.frame_rate.per_second
    if description.parts is not None:
        document["parts"] = description.parts
    document["classes"] = description.patterns
    document["features"] = {name: _feature(description, stem) for name, stem in description.features.items()}
    document["splits"] = description.splits
    write_whole(root / DESCRIPTION_FILE, tomli_w.dumps(document).encode())


def _feature(description: DatasetDescription, stem: str) -> object:
    table: dict[str, object] = {"stem": stem}
    if stem in description.rates:
        table["frame_rate"] = description.rates[stem].per_second
    if stem in description.recipes:
        table["recipe"] = description.recipes[stem].table()
    return table if len(table) > 1 else stem


def _label_text(name: str, patterns: tuple[str, ...]) -> str:
    texts = [pattern for pattern in patterns if not set(pattern) & set("*?")]
    # SoccerNet-v1 describes its labels by a part of their name, which its evaluator looks for too.
    inner = patterns[0].strip("*")
    return texts[0] if texts else inner if inner and not set(inner) & set("*?") else name


def _read(file: Path) -> bytes:
    try:
        return read_limited(file, MAX_TOML_BYTES)
    except (OSError, ValueError) as error:
        raise DataError("this data set description cannot be read", file=file, reason=error) from error


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # Brackets are part of labels, not sets of characters as in file names.
    return re.compile(fnmatch.translate(pattern.casefold().replace("[", "[[]")))


def _equals(pattern: str, label: str) -> bool:
    return pattern.casefold() == label.casefold()


def _fits(pattern: str, label: str) -> bool:
    return _compiled(pattern).match(label.casefold()) is not None

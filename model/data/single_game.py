"""Open one game without labels, for a trained network to spot its actions."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.data.layout.description import DESCRIPTION_FILE, DatasetDescription, read_description
from model.data.layout.feature_file import (
    FeatureFile,
    common_dtype,
    find_header,
    read_features,
    unusable_values,
    width_mismatches,
)
from model.data.layout.game_files import feature_name, feature_parts, stems_in
from model.data.layout.rates import stated_rate
from model.data.stores.store import Half, Store
from model.errors import DataError, Problem
from model.recipe import Recipe
from model.timeline import NO_FUTURE, NO_PAST, FrameRate
from model.wording import counted

_SEASON = re.compile(r"\d{4}(-\d{4})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Features that a trained network reads."""

    dims: int
    """Length of the feature vectors that it was trained on."""
    frame_rate: FrameRate
    """Feature vectors per second."""
    classes: Sequence[str]
    """Names of its classes."""
    stem: str | None
    """Stem of the feature files. None: the only ones with ``dims`` dimensions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GameFolder:
    """Folder of one game, and what is known about its features."""

    path: Path
    name: str
    """Name of the game, with which results of several games can share a folder."""
    description: DatasetDescription | None = None
    """Description of the data set that the game belongs to. None: nothing describes it."""
    parts: tuple[int, ...] | None = None
    """Numbers of its parts (halves). None: those that have a feature file."""
    frame_rate: FrameRate | None = None
    """Feature vectors per second. None: what the description or the stem of the features says."""

    def rate_of(self, stem: str) -> FrameRate | None:
        """Return the feature vectors per second of the files with ``stem``, or None if nothing says it."""
        described = stated_rate(stem) if self.description is None else self.description.rate_of(stem)
        return self.frame_rate or described


def find_game(folder: Path) -> GameFolder:
    """Return the game in ``folder`` with what the ``dataset.toml`` above it says.

    Raises:
        DataError: The description is invalid.
    """
    root = next(filter(None, map(_described_root, _paths(folder))), None)
    description = None if root is None else read_description(root)
    count = None if description is None else description.parts
    return GameFolder(
        path=folder,
        name=game_name(folder),
        description=description,
        parts=None if count is None else tuple(range(1, count + 1)),
    )


def open_game(game: GameFolder, wanted: Wanted) -> Store:
    """Read the features of all halves of one game.

    Raises:
        DataError: The features are missing or cannot be used; every problem is listed.
    """
    folder, description = game.path, game.description
    if not folder.is_dir():
        raise DataError(f"no such game folder: {folder}")
    stem = wanted.stem or _only_stem(folder, wanted.dims)
    _check_rate(stem, game.rate_of(stem), wanted.frame_rate)
    headers = _headers(folder, stem, game.parts)
    if not headers:
        raise DataError(
            f"the game has no features {stem}"
            + (", which the network was trained on" if wanted.stem else ""),
            folder=folder,
            found=", ".join(stems_in(folder)) or "no features",
            fix=f"add files 1_{stem}.npy, 2_{stem}.npy; other features only with --features NAME "
            "--force-features",
        )
    problems = [header for header in headers.values() if isinstance(header, Problem)]
    halves = {number: header for number, header in headers.items() if isinstance(header, FeatureFile)}
    problems += [_width_problem(half, wanted.dims) for half in halves.values() if half.dims != wanted.dims][
        :1
    ]
    problems += [
        *width_mismatches(list(halves.values())),
        *filter(None, map(unusable_values, halves.values())),
    ]
    if problems:
        raise DataError(f"the features of this game have {counted(len(problems), 'problem')}", problems)
    return _store(folder, stem, halves, wanted, description.recipes.get(stem) if description else None)


def game_name(folder: Path) -> str:
    """Return the name of the game in ``folder``, with which results of several games can share a folder.

    It is the path below the folder of the ``dataset.toml`` above, as in the lists of the splits; else
    ``<league>/<season>/<game>`` if the folder lies in a season such as ``2014-2015``; else the folder's name.
    """
    for path in _paths(folder):
        if (root := _described_root(path)) is not None:
            return path.relative_to(root).as_posix()
    in_season = _in_season(folder)
    return folder.resolve().name if in_season is None else "/".join(in_season.parts[-3:])


def soccernet_root(folder: Path) -> Path:
    """Return the data folder of the game ``folder`` in SoccerNet's layout, ``<league>/<season>/<game>``."""
    *_, root = (_in_season(folder) or folder.resolve()).parents[:3]
    return root


def _in_season(folder: Path) -> Path | None:
    return next((path for path in _paths(folder) if _SEASON.fullmatch(path.parent.name)), None)


def _paths(folder: Path) -> tuple[Path, Path]:
    """Return the path of a game as it was given, then without links: games in a data folder may be links."""
    return Path(os.path.normpath(folder.absolute())), folder.resolve()


def _described_root(path: Path) -> Path | None:
    above = (parent for parent in path.parents[:4] if (parent / DESCRIPTION_FILE).is_file())
    return next(above, None)


def half_in_memory(features: npt.NDArray[np.floating[Any]], wanted: Wanted) -> Store:
    """Return a game with one half, whose features (frames, dimensions) are in memory.

    Raises:
        DataError: The features have another number of dimensions, or values that are not finite.
    """
    if features.ndim != 2 or features.shape[1] != wanted.dims:
        raise DataError(
            f"expected features of shape (frames, {wanted.dims}), as the network was trained on, "
            f"got {features.shape}"
        )
    if not np.isfinite(features).all():
        raise DataError("the features have values that are not finite")
    return _game(Path("game"), wanted.stem or "", features, {1: len(features)}, wanted)


def _store(
    folder: Path, stem: str, halves: dict[int, FeatureFile], wanted: Wanted, recipe: Recipe | None
) -> Store:
    dtype = common_dtype(list(halves.values()))
    features = np.concatenate([read_features(half, dtype) for half in halves.values()])
    frames_of = {number: half.frames for number, half in halves.items()}
    return _game(folder, stem, features, frames_of, wanted, recipe)


def _game(
    folder: Path,
    stem: str,
    features: npt.NDArray[np.floating[Any]],
    frames_of: Mapping[int, int],
    wanted: Wanted,
    recipe: Recipe | None = None,
) -> Store:
    """Return the halves of one game, whose features follow each other."""
    frames, classes, entries = len(features), len(wanted.classes), list[Half]()
    for number, length in frames_of.items():
        first = sum(entry.frames for entry in entries)
        entries.append(Half(folder.name, number, first, length))
    return Store(
        path=folder,
        digest="",
        split=folder.name,
        classes=tuple(wanted.classes),
        frame_rate=wanted.frame_rate,
        halves=tuple(entries),
        dims=wanted.dims,
        features=features,
        past=np.full((frames, classes), NO_PAST, dtype=np.int16),
        future=np.full((frames, classes), NO_FUTURE, dtype=np.int16),
        actions=np.empty((0, 4), dtype=np.int64),
        stem=stem,
        recipe=recipe,
    )


def _headers(folder: Path, stem: str, parts: tuple[int, ...] | None) -> dict[int, FeatureFile | Problem]:
    headers: dict[int, FeatureFile | Problem] = {}
    for number in parts or feature_parts(folder, stem):
        file = folder / feature_name(number, stem)
        header = find_header(file) or Problem(str(file), "", "missing")
        if isinstance(header, Problem) or header.frames:
            headers[number] = header
    return headers


def _only_stem(folder: Path, dims: int) -> str:
    """Return the stem of the features of width ``dims``."""
    headers = {stem: _headers(folder, stem, None) for stem in stems_in(folder)}
    fitting = [stem for stem, halves in headers.items() if dims in _widths(halves)]
    if len(fitting) == 1:
        return fitting[0]
    problems = [
        header for halves in headers.values() for header in halves.values() if isinstance(header, Problem)
    ]
    if not fitting and problems:
        raise DataError("the features of this game cannot be used", problems, folder=folder)
    raise DataError(
        f"expected one kind of features with {dims} dimensions per frame, found {len(fitting)}",
        folder=folder,
        found=", ".join(f"{stem} ({'/'.join(map(str, _widths(halves)))})" for stem, halves in headers.items())
        or "no features",
        fix="add --features STEM"
        if fitting
        else f"give a folder with 1_<STEM>.npy that has {dims} dimensions per frame",
    )


def _widths(headers: dict[int, FeatureFile | Problem]) -> list[int]:
    return sorted({header.dims for header in headers.values() if isinstance(header, FeatureFile)})


def _check_rate(stem: str, found: FrameRate | None, expected: FrameRate) -> None:
    if found is not None and found != expected:
        raise DataError(
            f"features {stem} have {found}, the network was trained at {expected.per_second:g}",
            fix="give features of that rate; if the rate is declared wrongly, correct it in "
            f"{DESCRIPTION_FILE}",
        )


def _width_problem(half: FeatureFile, dims: int) -> Problem:
    return Problem(
        str(half.path),
        "shape",
        f"expected {dims} dimensions per frame, as the network was trained on, got {half.dims}",
    )

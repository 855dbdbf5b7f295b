"""SoccerNet layout: ``<root>/<league>/<season>/<game>/{1,2}_<STEM>.npy``, label files and lists of games."""

import importlib.util
import io
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.data.layout.description import DatasetDescription
from model.data.layout.game_lists import read_game_list
from model.errors import DataError, Problem
from model.files import files_below, write_whole
from model.timeline import PART
from model.wording import counted

HALVES = (1, 2)
"""Halves of a game of SoccerNet; games of other data sets can have other parts."""
_FEATURE_FILE = re.compile(rf"({PART})_(.+)\.npy", re.DOTALL)


def feature_name(part: int, stem: str) -> str:
    """Return the name of the feature file of a part (half) of a game, such as ``1_X.npy``."""
    return f"{part}_{stem}.npy"


def features_file(root: Path, game: str, *, half: int, stem: str) -> Path:
    """Return the path of the feature file of one half."""
    return root / game / feature_name(half, stem)


def real_folder(root: Path, game: str) -> str:
    """Return the folder of a game with all links followed, so that a link and its target are one game."""
    return os.path.realpath(root / game)


def feature_parts(folder: Path, stem: str) -> tuple[int, ...]:
    """Return the numbers of the parts (halves) of the game in ``folder`` that have a feature file."""
    return tuple(sorted(number for number, found in _feature_files(folder) if found == stem))


def stems_in(folder: Path) -> list[str]:
    """Return the stems of all feature files of the game in ``folder``."""
    return sorted({stem for _, stem in _feature_files(folder)})


def stems_below(folder: Path) -> list[str]:
    """Return the stems of the feature files in all folders below ``folder``."""
    named = (part_and_stem(file.name) for file in files_below(folder))
    return sorted({stem for _, stem in filter(None, named)})


def part_and_stem(name: str) -> tuple[int, str] | None:
    """Return part and stem of a feature file, such as 1 and ``X`` of ``1_X.npy``; None for other names."""
    match = _FEATURE_FILE.fullmatch(name)
    return (int(match[1]), match[2]) if match else None


def _feature_files(folder: Path) -> list[tuple[int, str]]:
    named = (part_and_stem(file.name) for file in folder.glob("[1-9]*_*.npy"))
    return [found for found in named if found is not None]


def games_of_split(root: Path, description: DatasetDescription, split: str) -> tuple[str, ...]:
    """Return the paths of the games of ``split``, relative to ``root``, in the order of the list.

    Raises:
        DataError: There is no list, or games are listed twice or lie outside ``root``; all are reported.
    """
    games, problems = read_split(root, description, split)
    if problems:
        raise DataError(f"the list of split {split!r} is invalid", problems)
    return games


def first_games(names: tuple[str, ...], split: str, count: int | None) -> tuple[str, ...]:
    """Return the first ``count`` games of ``split``; None: all.

    Raises:
        DataError: The split has fewer games.
    """
    if count is None:
        return names
    if not 0 < count <= len(names):
        raise DataError(
            f"split {split!r} has {counted(len(names), 'game')}, {count} were requested",
            fix=f"request at most {len(names)}",
        )
    return names[:count]


def read_split(
    root: Path, description: DatasetDescription, split: str
) -> tuple[tuple[str, ...], list[Problem]]:
    """Return the usable games of ``split``, and a problem for every other line of its list.

    The list is the text file that the description names. If this file does not exist and the SoccerNet
    package is installed, the package supplies the published list.

    Raises:
        DataError: There is no list, or it cannot be read.
    """
    file = root / description.list_of(split)
    if not file.is_file():
        return _published_games(description, split, expected=file), []
    listed = read_game_list(file)
    if listed.games or listed.problems:
        return tuple(listed.games), list(listed.problems)
    return (), [Problem(str(file), "", f"split {split!r} is empty (expected one game path per line)")]


def write_game(
    root: Path,
    game: str,
    *,
    stem: str,
    halves: Sequence[npt.NDArray[np.floating[Any]]],
    annotations: Sequence[Mapping[str, object]],
    labels_file: str,
) -> None:
    """Write the features of both halves and the labels of one game, each file atomically.

    Args:
        root: The data folder.
        game: Path of the game relative to it.
        stem: Stem of the feature files.
        halves: Features of the first and the second half, (frames, dims), float16 or float32.
        annotations: List to write under ``"annotations"``.
        labels_file: Name of the label file.
    """
    folder = root / game
    folder.mkdir(parents=True, exist_ok=True)
    for number, features in zip(HALVES, halves, strict=True):
        content = io.BytesIO()
        np.save(content, features, allow_pickle=False)
        write_whole(features_file(root, game, half=number, stem=stem), content.getbuffer())
    labels = {"UrlLocal": f"{game}/", "annotations": list(annotations)}
    write_whole(folder / labels_file, json.dumps(labels, indent=1, ensure_ascii=False).encode())


def write_split(root: Path, description: DatasetDescription, split: str, games: Iterable[str]) -> None:
    """Write the list of games of one split to the file that the description names."""
    file = root / description.list_of(split)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, "".join(f"{game}\n" for game in games).encode())


def _published_games(description: DatasetDescription, split: str, *, expected: Path) -> tuple[str, ...]:
    # The package carries the lists of SoccerNet only: they say nothing about anybody else's games.
    if not description.is_soccernet:
        raise DataError(
            f"no list of games for split {split!r}",
            expected=expected,
            fix="write this file with one game path per line",
        )
    if importlib.util.find_spec("SoccerNet") is None:
        fix = (
            "write this file with one game path per line, or: pip install SoccerNet (for its published lists)"
        )
        raise DataError(f"no list of games for split {split!r}", expected=expected, fix=fix)
    from SoccerNet.utils import getListGames

    return tuple(str(game) for game in getListGames(split))

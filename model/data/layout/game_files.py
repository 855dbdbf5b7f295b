"""Files of a game in a data folder: ``<game>/{1,2}_<STEM>.npy`` and a label file, as SoccerNet names them."""

import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.files import files_below, write_whole
from model.timeline import PART

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

"""Open one game without labels, for a trained network to spot its actions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.data.inspection import FeatureFile, feature_mismatches, first_non_finite, read_header
from model.data.soccernet import HALVES
from model.data.store import Half, Store
from model.errors import DataError, Problem
from model.timeline import NO_FUTURE, NO_PAST, FrameRate


def open_game(
    folder: Path, *, dims: int, classes: Sequence[str], frame_rate: FrameRate, stem: str | None = None
) -> Store:
    """Read the features of both halves of one game.

    Args:
        folder: Folder of the game, with ``1_<STEM>.npy`` and ``2_<STEM>.npy``.
        dims: Length of the feature vectors that the network was trained on.
        classes: Names of the network's classes.
        frame_rate: Feature vectors per second.
        stem: Stem of the feature files; None: the only ones with ``dims`` dimensions.

    Raises:
        DataError: The features are missing or cannot be used; every problem is listed.
    """
    if not folder.is_dir():
        raise DataError(f"no such game folder: {folder}")
    headers = _headers(folder, stem or _only_stem(folder, dims))
    problems = [header for header in headers if isinstance(header, Problem)]
    halves = [header for header in headers if isinstance(header, FeatureFile)]
    problems += [_width_problem(half, dims) for half in halves[:1] if half.dims != dims]
    problems += [*feature_mismatches(halves), *filter(None, map(first_non_finite, halves))]
    if problems:
        raise DataError(f"the features of this game have {len(problems)} problems", problems)
    frames = sum(half.frames for half in halves)
    first_frames = (0, halves[0].frames)
    return Store(
        path=folder,
        digest="",
        split=folder.name,
        classes=tuple(classes),
        frame_rate=frame_rate,
        halves=tuple(
            Half(folder.name, number, first, half.frames)
            for number, first, half in zip(HALVES, first_frames, halves, strict=True)
        ),
        dims=dims,
        features=np.concatenate([np.load(half.path, allow_pickle=False) for half in halves]),
        past=np.full((frames, len(classes)), NO_PAST, dtype=np.int16),
        future=np.full((frames, len(classes)), NO_FUTURE, dtype=np.int16),
        actions=np.empty((0, 4), dtype=np.int64),
    )


def _headers(folder: Path, stem: str) -> list[FeatureFile | Problem]:
    files = [folder / f"{number}_{stem}.npy" for number in HALVES]
    return [read_header(file) if file.is_file() else Problem(str(file), "", "missing") for file in files]


def _only_stem(folder: Path, dims: int) -> str:
    """Stem of the features of width ``dims``."""
    stems = sorted({file.stem[2:] for file in folder.glob("[12]_*.npy")})
    widths = {
        stem: {header.dims for header in _headers(folder, stem) if isinstance(header, FeatureFile)}
        for stem in stems
    }
    fitting = [stem for stem in stems if dims in widths[stem]]
    if len(fitting) == 1:
        return fitting[0]
    raise DataError(
        f"expected one kind of features with {dims} dimensions per frame, found {len(fitting)}",
        folder=folder,
        found=", ".join(
            f"{stem} ({'/'.join(map(str, sorted(widths[stem]))) or 'unreadable'})" for stem in stems
        )
        or "no features",
        fix="add --features STEM"
        if fitting
        else f"give a folder with 1_<STEM>.npy and 2_<STEM>.npy that have {dims} dimensions per frame",
    )


def _width_problem(half: FeatureFile, dims: int) -> Problem:
    return Problem(
        str(half.path),
        "shape",
        f"expected {dims} dimensions per frame, as the network was trained on, got {half.dims}",
    )

"""Synthetic games in which the context of every action is known to the second.

An action leaves two traces in the features: a weak trace that rises before it, and a trace after it that ends
sharply at a known time. The first part of the trace after it is a signature, which all classes and also
distractors share; only the rest of the trace shows whether it is an action and of which class. Zones that
are too short label this rest as "no action", so that only the signature is left to learn from. This lowers
the score after a short training with a large weight of the segmentation loss; otherwise the spotting module,
which sees the whole chunk, compensates (figures in benchmarks/RESULTS.md).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.data.layout.description import DatasetDescription
from model.data.layout.game_files import HALVES, write_game
from model.data.layout.new_folder import begin, finish
from model.data.layout.split_lists import write_split
from model.errors import ConfigError
from model.timeline import FrameRate, annotated

PLANTED_ZONES_S: Mapping[str, tuple[float, float]] = {
    "goal": (10.0, 60.0),
    "card": (5.0, 45.0),
    "substitution": (5.0, 50.0),
}
"""Class -> duration of its trace before and after an action, in seconds."""

STEM = "SYNTHETIC"
_RATE = FrameRate(2.0)
_SIGNATURE_SHARE = 0.4
"""Part of the trace after an action that is signature; K4 of zones cut to a quarter ends inside it."""
_DISTRACTORS_PER_ACTION = 2
_ACTION_EVERY_S = 400.0
"""Mean time between two actions of one class."""
_GAP_S = 30.0
"""Least time between two starts, of actions or distractors."""
_STRENGTH = {"before": 0.5, "signature": 2.0, "after": 2.0}
"""Amplitudes, "after" that of a trace of a minute; the noise has standard deviation 1 in every dimension."""
_NOISE_MEMORY = 0.5
"""Correlation of the noise of consecutive frames."""


@dataclass(frozen=True, slots=True)
class _Start:
    """Something that shows the start signature: an action, or a distractor that looks like one at first."""

    frame: int
    class_index: int
    is_action: bool


def planted_zones_s() -> dict[str, tuple[float, float, float, float]]:
    """Return the zones that match the planted traces: class -> (K1, K2, K3, K4), in seconds."""
    return {
        name: (-2.0 * before_s, -before_s, after_s, 1.5 * after_s)
        for name, (before_s, after_s) in PLANTED_ZONES_S.items()
    }


def synthetic_description() -> DatasetDescription:
    """Return the description that ``write_synthetic`` writes beside its games."""
    return DatasetDescription(
        name="synthetic",
        frame_rate=_RATE,
        parts=2,
        labels_file="Labels.json",
        classes=tuple(PLANTED_ZONES_S),
        patterns={name: (name,) for name in PLANTED_ZONES_S},
        ignored=(),
        features={"synthetic": STEM},
        splits={split: f"{split}.txt" for split in ("train", "valid", "test")},
    )


def write_synthetic(
    root: Path,
    *,
    games: Mapping[str, int],
    dims: int = 32,
    minutes: int = 45,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a synthetic data set; ``dataset.toml`` is written last and marks it as complete.

    Args:
        root: The data folder to write.
        games: Split -> number of games.
        dims: Length of a feature vector.
        minutes: Length of a half in minutes.
        seed: Seed of all random numbers; a game does not depend on the number of games.
        progress: Called with (games done, total games).

    Raises:
        ConfigError: ``dims`` is too small to separate the traces, or a half is too short for one action.
        DataError: The folder contains another data set.
    """
    description = synthetic_description()
    traces = _Traces(dims, np.random.default_rng(seed))
    if minutes * 60 < 2 * _ACTION_EVERY_S:
        raise ConfigError(f"synthetic halves must last at least 14 minutes, got {minutes}")
    begin(root, description.name)
    done = 0
    for index, (split, count) in enumerate(games.items()):
        names = [f"synthetic/{split}/game-{number:03d}" for number in range(1, count + 1)]
        for number, name in enumerate(names):
            rng = np.random.default_rng([seed, index, number])
            halves, annotations = _game(traces, rng, _RATE.to_frames(60.0 * minutes))
            write_game(
                root,
                name,
                stem=STEM,
                halves=halves,
                annotations=annotations,
                labels_file=description.labels_file,
            )
            done += 1
            if progress is not None:
                progress(done, sum(games.values()))
        write_split(root, description, split, names)
    finish(root, description)


class _Traces:
    """Directions of feature space, drawn once for all games, and what is added along them."""

    def __init__(self, dims: int, rng: np.random.Generator) -> None:
        needed = 2 * len(PLANTED_ZONES_S) + 1
        if dims < needed:
            raise ConfigError(f"synthetic features need at least {needed} dimensions, got {dims}")
        directions = np.linalg.qr(rng.normal(size=(dims, dims)))[0]
        classes = len(PLANTED_ZONES_S)
        self.dims = dims
        self._after = directions[:classes]
        self._before = directions[classes : 2 * classes]
        self._signature = directions[2 * classes]

    def add(self, features: npt.NDArray[np.float64], start: _Start) -> None:
        """Add the traces of one start to the features of a half, in place; they end with the half."""
        before_s, after_s = list(PLANTED_ZONES_S.values())[start.class_index]
        frame, before, after = start.frame, _RATE.to_frames(before_s), _RATE.to_frames(after_s)
        signature = round(_SIGNATURE_SHARE * after)
        features[frame : frame + signature] += _STRENGTH["signature"] * self._signature
        if not start.is_action:
            return
        # Shorter traces are stronger: all classes shall be about equally hard.
        strength = _STRENGTH["after"] * (60.0 / after_s) ** 0.5
        features[frame + signature : frame + after] += strength * self._after[start.class_index]
        # No start lies within the gap before it, so the whole rise fits into the half.
        rise = np.arange(1, before + 1)[:, None] / before
        features[frame - before : frame] += _STRENGTH["before"] * rise * self._before[start.class_index]


def _game(
    traces: _Traces, rng: np.random.Generator, frames: int
) -> tuple[list[npt.NDArray[np.floating[Any]]], list[dict[str, str]]]:
    halves: list[npt.NDArray[np.floating[Any]]] = []
    annotations: list[dict[str, str]] = []
    for half in HALVES:
        features = _noise(rng, frames, traces.dims)
        for start in _starts(rng, frames):
            traces.add(features, start)
            if start.is_action:
                annotations.append(_annotation(half, start))
        halves.append(features.astype(np.float16))
    return halves, annotations


def _noise(rng: np.random.Generator, frames: int, dims: int) -> npt.NDArray[np.float64]:
    """Noise of which each frame remembers the one before; standard deviation 1."""
    noise: npt.NDArray[np.float64] = rng.normal(size=(frames, dims)) * np.sqrt(1.0 - _NOISE_MEMORY**2)
    for frame in range(1, frames):  # no filter of SciPy's: importing scipy.signal takes longer than all games
        noise[frame] += _NOISE_MEMORY * noise[frame - 1]
    return noise


def _starts(rng: np.random.Generator, frames: int) -> Iterator[_Start]:
    """Actions and distractors of every class, in random order, at random but apart."""
    classes = range(len(PLANTED_ZONES_S))
    per_class = max(1, round(_RATE.to_seconds(frames) / _ACTION_EVERY_S))
    is_action = [True, *[False] * _DISTRACTORS_PER_ACTION]
    kinds = [(index, action) for index in classes for action in is_action * per_class]
    gap = _RATE.to_frames(_GAP_S)
    free = frames - gap * (len(kinds) + 1)
    at = np.sort(rng.integers(0, free, len(kinds))) + gap * np.arange(1, len(kinds) + 1)
    for frame, kind in zip(at, rng.permutation(len(kinds)), strict=True):
        yield _Start(int(frame), *kinds[kind])


def _annotation(half: int, start: _Start) -> dict[str, str]:
    milliseconds = round(1000 * _RATE.to_seconds(start.frame))
    label = list(PLANTED_ZONES_S)[start.class_index]
    return {**annotated(half, milliseconds, label), "visibility": "visible"}

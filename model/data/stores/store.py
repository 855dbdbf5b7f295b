"""Memory-mapped store of one split: features, distances to actions, and actions, never copied into memory."""

import mmap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.data.layout.split_lists import first_games
from model.data.stores.cache import unusable
from model.documents import parse_json
from model.errors import DataError
from model.recipe import Recipe
from model.timeline import FrameRate

STORE_FORMAT = 2
"""Version of the store's files; digests and fingerprints include it, so a new version builds a new store."""
# Format 1 has no stem and no labels; reports of older studies still open it.
_READABLE_FORMATS = (1, STORE_FORMAT)


@dataclass(frozen=True, slots=True)
class Half:
    """Position of one half of a game in the arrays of a store."""

    game: str
    """Path of the game, relative to the data folder."""
    number: int
    """Number of the half: 1, 2, or more in games of several periods."""
    first_frame: int
    """Row of the first frame of the half."""
    frames: int
    """Number of rows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Store:
    """One split of a data set, mapped read-only; rows are the frames of all halves, half after half.

    Pass its ``path`` between processes, never the store itself.
    """

    path: Path
    digest: str
    """SHA-256 of everything that training depends on: classes, frame rate, games, features, actions."""
    split: str
    classes: tuple[str, ...]
    frame_rate: FrameRate
    halves: tuple[Half, ...]
    dims: int
    """Length of a feature vector."""
    features: npt.NDArray[Any]
    """(frames, dims), float16 or float32 as in the source files."""
    past: npt.NDArray[np.int16]
    """(frames, classes): frames since the closest action at or before, 0 on it; ``NO_PAST`` if none."""
    future: npt.NDArray[np.int16]
    """(frames, classes): frames since the closest action after, negative; ``NO_FUTURE`` if none."""
    actions: npt.NDArray[np.int64]
    """(actions, 4): index into ``halves``, frame within the half, class, visible (0 or 1); sorted so.

    Two annotations of one class in one frame are one action, as in the published code.
    """
    stem: str | None = None
    """Stem of the feature files; None in stores of older versions."""
    labels: str | None = None
    """Version of SoccerNet's labels, ``v1`` or ``v2``; None for other labels."""
    label_texts: tuple[str, ...] = ()
    """The label of every class in label files; empty in stores of older versions."""
    recipe: Recipe | None = None
    """Recipe by which the features were extracted from videos; None if the data set does not say."""
    notices: tuple[str, ...] = ()
    """Notices for a user who trains on these data; empty if the store was opened by its path."""

    @property
    def games(self) -> tuple[str, ...]:
        """Paths of the games, in the order of the split."""
        return tuple(dict.fromkeys(half.game for half in self.halves))

    @property
    def action_counts(self) -> dict[str, int]:
        """Number of actions of every class."""
        counts = np.bincount(self.actions[:, 2], minlength=len(self.classes))
        return dict(zip(self.classes, counts.tolist(), strict=True))

    def first_games(self, count: int) -> "Store":
        """Return a store of the first ``count`` games, over the same mapped arrays and with its own digest.

        Raises:
            DataError: The split has fewer than ``count`` games, or ``count`` is not positive.
        """
        kept = first_games(self.games, self.split, count)
        if kept == self.games:
            return self
        names = set(kept)
        halves = tuple(half for half in self.halves if half.game in names)
        frames = sum(half.frames for half in halves)
        return replace(
            self,
            digest=f"{self.digest}-first-{count}",
            halves=halves,
            features=self.features[:frames],
            past=self.past[:frames],
            future=self.future[:frames],
            actions=self.actions[self.actions[:, 0] < len(halves)],
        )

    def one_game(self, game: str) -> "Store":
        """Return a store of the halves of ``game``, over the same mapped arrays and with its own digest.

        Raises:
            DataError: The split has no such game.
        """
        if game not in self.games:
            raise DataError(f"the {self.split} split has no game {game!r}", example=self.games[0])
        kept = [index for index, half in enumerate(self.halves) if half.game == game]
        halves = [self.halves[index] for index in kept]
        first = halves[0].first_frame
        rows = slice(first, first + sum(half.frames for half in halves))
        actions = self.actions[np.isin(self.actions[:, 0], kept)]
        actions[:, 0] -= kept[0]
        return replace(
            self,
            digest=f"{self.digest}-only-{game}",
            halves=tuple(replace(half, first_frame=half.first_frame - first) for half in halves),
            features=self.features[rows],
            past=self.past[rows],
            future=self.future[rows],
            actions=actions,
        )

    def release(self) -> None:
        """Release memory pages to the operating system; they are read again when accessed."""
        for array in (self.features, self.past, self.future):
            pages = getattr(array, "_mmap", None)
            if isinstance(pages, mmap.mmap):
                pages.madvise(mmap.MADV_DONTNEED)


def open_store(path: Path) -> Store:
    """Map the store in folder ``path``; this takes milliseconds at any size.

    Raises:
        DataError: The folder contains no complete store.
    """
    try:
        meta = parse_json((path / "meta.json").read_bytes())
        if meta["format"] not in _READABLE_FORMATS:
            raise ValueError(f"expected format {STORE_FORMAT}, got format {meta['format']}")
        arrays = {name: _mapped(path / f"{name}.npy") for name in ("features", "past", "future")}
        actions = np.load(path / "actions.npy", allow_pickle=False)
        halves = tuple(Half(*half) for half in meta["halves"])
        _check_rows(halves, arrays)
    except Exception as error:  # numpy raises many types for a damaged header
        raise unusable("the cached split", path, error) from error
    actions.flags.writeable = False
    return Store(
        path=path,
        digest=meta["digest"],
        split=meta["split"],
        classes=tuple(meta["classes"]),
        frame_rate=FrameRate(meta["frame_rate"]),
        halves=halves,
        dims=arrays["features"].shape[1],
        features=arrays["features"],
        past=arrays["past"],
        future=arrays["future"],
        actions=actions,
        stem=meta.get("stem"),
        labels=meta.get("labels"),
        label_texts=tuple(meta.get("label_texts", ())),
        recipe=Recipe.read(meta["recipe"]) if "recipe" in meta else None,
    )


def _mapped(file: Path) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    return array


def _check_rows(halves: tuple[Half, ...], arrays: dict[str, npt.NDArray[Any]]) -> None:
    frames = sum(half.frames for half in halves)
    for name, array in arrays.items():
        if array.ndim != 2 or len(array) != frames:
            raise ValueError(f"{name}: expected {frames} rows, got shape {array.shape}")

"""The mapped cache of one split: features, distances to actions and actions, never copied into memory."""

import mmap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.data.building import STORE_FORMAT, find_or_build
from model.documents import parse_json
from model.errors import DataError
from model.timeline import FrameRate


@dataclass(frozen=True, slots=True)
class Half:
    """Where one half of a game lies in the arrays of a store."""

    game: str
    """Path of the game, relative to the data folder."""
    number: int
    """1 or 2."""
    first_frame: int
    """Row of the half's first frame."""
    frames: int
    """Number of rows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Store:
    """One split of a data set, mapped read-only. Rows are the frames of all halves, one half after the other.

    Pass its ``path`` between processes, never the store itself.
    """

    path: Path
    digest: str
    """SHA-256 over everything a training depends on: classes, frame rate, games, features, actions."""
    split: str
    classes: tuple[str, ...]
    frame_rate: FrameRate
    halves: tuple[Half, ...]
    dims: int
    """Numbers in a feature vector."""
    features: npt.NDArray[Any]
    """(frames, dims), float16 or float32 as in the files it was built from."""
    past: npt.NDArray[np.int16]
    """(frames, classes): frames since the closest action at or before, 0 on it; ``NO_PAST`` if none."""
    future: npt.NDArray[np.int16]
    """(frames, classes): frames since the closest action after, negative; ``NO_FUTURE`` if none."""
    actions: npt.NDArray[np.int64]
    """(actions, 4): index into ``halves``, frame within the half, class, visible (0, 1); in that order.

    Two annotations of one class in one frame are one action, as in the published code.
    """

    @property
    def games(self) -> tuple[str, ...]:
        """The games in the order of the split."""
        return tuple(dict.fromkeys(half.game for half in self.halves))

    def first_games(self, count: int) -> "Store":
        """The first ``count`` games over the same mapped arrays, under a digest of its own.

        Raises:
            DataError: The split has fewer games, or ``count`` is not positive.
        """
        games = self.games
        if not 0 < count <= len(games):
            raise DataError(f"split {self.split!r} has {len(games)} games, {count} were asked for")
        if count == len(games):
            return self
        kept = set(games[:count])
        halves = tuple(half for half in self.halves if half.game in kept)
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
        """The halves of ``game`` over the same mapped arrays, under a digest of its own.

        Raises:
            DataError: The split has no such game.
        """
        if game not in self.games:
            raise DataError(f"the {self.split} split has no game {game!r}", such_as=self.games[0])
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
        """Give the pages read so far back to the system; they are read again when touched."""
        for array in (self.features, self.past, self.future):
            pages = getattr(array, "_mmap", None)
            if isinstance(pages, mmap.mmap):
                pages.madvise(mmap.MADV_DONTNEED)


def open_split(
    root: Path,
    *,
    features: str,
    split: str,
    cache: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Store:
    """Open the store of one split, building it where it is not in the cache yet.

    Two processes may ask for the same split at once: one builds, the other waits and opens. Building
    streams game by game; opening what is there reads no data at all.

    Args:
        root: The data folder.
        features: Name of the features: an alias of the description, or the stem of the files.
        split: ``train``, ``valid`` or ``test``.
        cache: Folder of all stores; made where it is missing.
        progress: Called with (games done, all games) while building.

    Raises:
        DataError: The data is wrong; every problem found is listed.
        UserError: There is not enough free space for the cache.
    """
    return open_store(find_or_build(root, features=features, split=split, cache=cache, progress=progress))


def open_store(path: Path) -> Store:
    """Map the store in folder ``path``; takes milliseconds whatever its size.

    Raises:
        DataError: There is no whole store.
    """
    try:
        meta = parse_json((path / "meta.json").read_bytes())
        if meta["format"] != STORE_FORMAT:
            raise ValueError(f"it has format {meta['format']}, this version reads format {STORE_FORMAT}")
        arrays = {name: _mapped(path / f"{name}.npy") for name in ("features", "past", "future")}
        actions = np.load(path / "actions.npy", allow_pickle=False)
        halves = tuple(Half(*half) for half in meta["halves"])
        _check_rows(halves, arrays)
    except Exception as error:  # numpy raises many types for a damaged header
        raise DataError(
            f"no usable store: {error}", folder=path, fix="delete this folder; it is built again"
        ) from error
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
    )


def _mapped(file: Path) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    return array


def _check_rows(halves: tuple[Half, ...], arrays: dict[str, npt.NDArray[Any]]) -> None:
    frames = sum(half.frames for half in halves)
    for name, array in arrays.items():
        if array.ndim != 2 or len(array) != frames:
            raise ValueError(f"{name} has shape {array.shape}, expected {frames} rows")

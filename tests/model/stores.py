"""Small hand-made stores."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import oracles

from model.data.stores.store import Half, Store
from model.timeline import FrameRate


def small_store(
    halves: Sequence[int],
    actions: Sequence[tuple[int, int, int]],
    *,
    classes: int = 2,
    dims: int = 6,
    features: np.ndarray | None = None,
    dtype: type = np.float32,
    split: str = "train",
) -> Store:
    """A store of ``halves`` (frames each) with ``actions`` (half, frame, class) and random features."""
    first = np.concatenate([[0], np.cumsum(halves)])
    if features is None:
        features = np.random.default_rng(7).normal(size=(first[-1], dims)).astype(dtype)
    past, future = _distances(halves, actions, classes)
    rows = sorted({(half, frame, index, 1) for half, frame, index in actions})
    return Store(
        path=Path(),
        digest="small",
        split=split,
        classes=tuple(f"class-{index}" for index in range(classes)),
        frame_rate=FrameRate(2.0),
        halves=tuple(
            Half(
                game=f"game-{index // 2}", number=index % 2 + 1, first_frame=int(first[index]), frames=frames
            )
            for index, frames in enumerate(halves)
        ),
        dims=features.shape[1],
        features=features,
        past=past,
        future=future,
        actions=np.array(rows, dtype=np.int64).reshape(-1, 4),
    )


def _distances(
    halves: Sequence[int], actions: Sequence[tuple[int, int, int]], classes: int
) -> tuple[np.ndarray, np.ndarray]:
    blocks: list[list[np.ndarray]] = [[], []]
    for half, frames in enumerate(halves):
        columns = [
            oracles.distances([row[1] for row in actions if row[0] == half and row[2] == index], frames)
            for index in range(classes)
        ]
        for block, kind in zip(blocks, (0, 1), strict=True):
            block.append(np.array([column[kind] for column in columns], dtype=np.int16).T)
    return np.concatenate(blocks[0]), np.concatenate(blocks[1])

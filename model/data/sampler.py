"""Draw the chunks of an epoch from (seed, epoch, half) alone, never from hyperparameters."""

import math
from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np
import numpy.typing as npt

from model.data.stores.store import Store
from model.errors import ConfigError, DataError

SamplerName = Literal["paper", "balanced"]

MOST_BATCH_FRAMES = 1 << 17
"""Most frames in a batch of the paper's sampler, about 2 GB in training with 512 values per frame.

At 2 frames per second these are 546 chunks of 120 s, more than any half of SoccerNet needs; at 25 per second
they are 43.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerConfig:
    """Settings of the sampler that divides an epoch into batches of chunks."""

    name: SamplerName = "paper"
    """Sampling method.

    ``paper``: one batch per half, with a chunk around every action plus ceil(actions / C) background chunks.
    A batch of more than ``MOST_BATCH_FRAMES`` frames is divided evenly, with its chunks in random order.
    ``balanced``: batches of ``batch_size`` chunks, drawn uniformly over classes and background, as in the
    re-release.
    """
    chunk_frames: int = 240
    """Frames per chunk (N_F)."""
    margin_frames: int = 40
    """Least distance of an action from the ends of its chunk, in frames; half the paper's r."""
    batch_size: int = 32
    """Chunks per batch; ``balanced`` only."""
    chunks_per_epoch: int | None = None
    """Chunks per epoch; ``balanced`` only. None: as many as in the paper's epoch."""

    def __post_init__(self) -> None:
        if not 0 <= 2 * self.margin_frames < self.chunk_frames:
            raise ConfigError(
                f"margin_frames must be at least 0 and less than half of chunk_frames ({self.chunk_frames}), "
                f"got {self.margin_frames}"
            )
        if self.batch_size < 1 or (self.chunks_per_epoch is not None and self.chunks_per_epoch < 1):
            raise ConfigError(
                "batch_size and chunks_per_epoch must be at least 1, "
                f"got {self.batch_size} and {self.chunks_per_epoch}"
            )


@dataclass(frozen=True, slots=True)
class ChunkBatch:
    """Start positions of the chunks of one training step."""

    half: npt.NDArray[np.int64]
    """(batch,): index into the store's halves."""
    start: npt.NDArray[np.int64]
    """(batch,): first frame within the half."""

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self.half)


@dataclass(frozen=True, slots=True)
class _HalfPlan:
    """What can be drawn from one half."""

    actions: npt.NDArray[np.int64]
    """(n, 2): frame, class."""
    background: npt.NDArray[np.int64]
    """(m, 2): first and one past the last start of chunks that hold no action."""
    last_start: int

    def background_starts(self, count: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draw starts evenly over all places; none where the half has no place."""
        if not len(self.background):
            return np.empty(0, dtype=np.int64)
        lengths = self.background[:, 1] - self.background[:, 0]
        place = random.integers(lengths.sum(), size=count)
        interval = np.searchsorted(np.cumsum(lengths), place, side="right")
        starts: npt.NDArray[np.int64] = self.background[interval, 1] - np.cumsum(lengths)[interval] + place
        return starts


class ChunkSampler:
    """Sampler of the chunks of every epoch of a training split."""

    def __init__(self, store: Store, config: SamplerConfig, seed: int) -> None:
        """Prepare to draw; ``seed`` is the study's data seed.

        Raises:
            DataError: The split has no actions.
        """
        if not len(store.actions):
            raise DataError(
                f"split {store.split!r} has no actions to train on", fix="add games with annotated actions"
            )
        self._config, self._seed, self._classes = config, seed, len(store.classes)
        self._plans = [_plan_half(store, index, config) for index in range(len(store.halves))]
        self._paper_epoch = sum(len(plan.actions) + self._background_count(plan) for plan in self._plans)

    @property
    def chunks_per_epoch(self) -> int:
        """Number of chunks drawn in one epoch; halves without room for background contribute fewer."""
        if self._config.name == "balanced" and self._config.chunks_per_epoch is not None:
            return self._config.chunks_per_epoch
        return self._paper_epoch

    def epoch(self, epoch: int) -> list[ChunkBatch]:
        """Return the batches of epoch number ``epoch``, in training order."""
        match self._config.name:
            case "paper":
                return self._paper_batches(epoch)
            case "balanced":
                return self._balanced_batches(epoch)
            case _:
                assert_never(self._config.name)

    def _background_count(self, plan: _HalfPlan) -> int:
        return math.ceil(len(plan.actions) / self._classes) if len(plan.background) else 0

    def _paper_batches(self, epoch: int) -> list[ChunkBatch]:
        batches = []
        for index in np.random.default_rng([self._seed, epoch]).permutation(len(self._plans)):
            plan = self._plans[index]
            if not len(plan.actions):
                continue
            random = np.random.default_rng([self._seed, epoch, int(index)])
            around = self._around(plan.actions[:, 0], plan.last_start, random)
            background = plan.background_starts(self._background_count(plan), random)
            start = np.concatenate([around, background])
            batches += [
                ChunkBatch(np.full(len(part), index, dtype=np.int64), part)
                for part in self._divided(start, random)
            ]
        return batches

    def _divided(
        self, start: npt.NDArray[np.int64], random: np.random.Generator
    ) -> list[npt.NDArray[np.int64]]:
        """Divide the chunks of a half into as few batches as ``MOST_BATCH_FRAMES`` allows, of equal size."""
        most = max(1, MOST_BATCH_FRAMES // self._config.chunk_frames)
        if len(start) <= most:
            return [start]
        return np.array_split(random.permutation(start), math.ceil(len(start) / most))

    def _balanced_batches(self, epoch: int) -> list[ChunkBatch]:
        random = np.random.default_rng([self._seed, epoch])
        pools = self._pools()
        kind = random.integers(len(pools), size=self.chunks_per_epoch)
        half, start = np.empty(len(kind), dtype=np.int64), np.empty(len(kind), dtype=np.int64)
        for index, pool in enumerate(pools):
            wanted = np.flatnonzero(kind == index)
            half[wanted], start[wanted] = self._draw(pool, len(wanted), random)
        size = self._config.batch_size
        return [ChunkBatch(half[i : i + size], start[i : i + size]) for i in range(0, len(half), size)]

    def _pools(self) -> list[npt.NDArray[np.int64]]:
        """Rows (half, frame) of the actions of each class that has any, then (half, -1) of background."""
        rows = [
            np.column_stack([np.full(len(plan.actions), index), plan.actions])
            for index, plan in enumerate(self._plans)
        ]
        actions = np.concatenate(rows)
        by_class = [actions[actions[:, 2] == index, :2] for index in range(self._classes)]
        empty = [(index, -1) for index, plan in enumerate(self._plans) if len(plan.background)]
        pools = [*by_class, np.array(empty, dtype=np.int64).reshape(-1, 2)]
        return [pool for pool in pools if len(pool)]

    def _draw(
        self, pool: npt.NDArray[np.int64], count: int, random: np.random.Generator
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        picked = pool[random.integers(len(pool), size=count)]
        half = picked[:, 0]
        if len(picked) and picked[0, 1] < 0:
            starts = [self._plans[index].background_starts(1, random) for index in half]
            return half, np.concatenate(starts)
        last = np.array([self._plans[index].last_start for index in half], dtype=np.int64)
        return half, self._around(picked[:, 1], last, random)

    def _around(
        self,
        frame: npt.NDArray[np.int64],
        last_start: int | npt.NDArray[np.int64],
        random: np.random.Generator,
    ) -> npt.NDArray[np.int64]:
        """Starts of chunks with ``frame`` at a random place, moved where the half ends too early."""
        low, high = self._config.margin_frames, self._config.chunk_frames - self._config.margin_frames
        place = random.integers(low, high, size=len(frame))
        starts: npt.NDArray[np.int64] = np.clip(frame - place, 0, last_start)
        return starts


def _plan_half(store: Store, index: int, config: SamplerConfig) -> _HalfPlan:
    actions = store.actions[store.actions[:, 0] == index][:, 1:3]
    last_start = max(0, store.halves[index].frames - config.chunk_frames)
    return _HalfPlan(
        actions, background_intervals(actions[:, 0], last_start, config.chunk_frames), last_start
    )


def background_intervals(
    frames: npt.NDArray[np.int64], last_start: int, chunk_frames: int
) -> npt.NDArray[np.int64]:
    """Return the intervals of start frames whose chunk contains none of the actions at ``frames``."""
    frames = np.unique(frames)
    first = np.concatenate([[0], frames + 1])
    stop = np.minimum(np.concatenate([frames - chunk_frames, [last_start]]) + 1, last_start + 1)
    intervals = np.column_stack([first, stop])
    return intervals[intervals[:, 1] > intervals[:, 0]]

"""Chunks on a device: what one training or evaluation step reads."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model.data.sampler import ChunkBatch
from model.data.store import Store


@dataclass(frozen=True, slots=True)
class Chunks:
    """Features and distances to actions of a batch of chunks, time first."""

    features: Float[Tensor, "frames batch dims"]
    past: Int[Tensor, "frames batch classes"]
    """Frames since the closest action at or before; see ``model.encoding.time_shift``."""
    future: Int[Tensor, "frames batch classes"]
    inside: Bool[Tensor, "frames batch"]
    """False on frames past the end of a half that is shorter than a chunk; they repeat its last frame."""


def load_chunks(
    store: Store, batch: ChunkBatch, chunk_frames: int, *, device: torch.device, dtype: torch.dtype
) -> Chunks:
    """Copy chunks out of the mapped arrays, features as ``dtype``."""
    rows, inside = _rows(store, batch, chunk_frames)
    return Chunks(
        # By way of float32: float16 to bfloat16 directly takes twice as long.
        torch.from_numpy(store.features[rows]).to(device).float().to(dtype),
        torch.from_numpy(store.past[rows]).to(device),
        torch.from_numpy(store.future[rows]).to(device),
        torch.from_numpy(inside).to(device),
    )


def _rows(
    store: Store, batch: ChunkBatch, chunk_frames: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Row in the store of every frame of every chunk, (frames, batch), and which lie inside the half."""
    first = np.array([store.halves[index].first_frame for index in batch.half], dtype=np.int64)
    frames = np.array([store.halves[index].frames for index in batch.half], dtype=np.int64)
    within = batch.start + np.arange(chunk_frames)[:, None]
    return first + np.minimum(within, frames - 1), within < frames

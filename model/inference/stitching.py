"""Stitch chunks to halves: assign every frame to one chunk, and combine scores and spots of the chunks."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.data.sampler import ChunkBatch
from model.data.stores.store import Half
from model.spots import Spots


@dataclass(frozen=True, slots=True)
class Tiling:
    """Overlapping chunks that cover halves; every frame belongs to exactly one of them.

    Neighbouring chunks overlap by r, so that every frame lies at least r/2 from the ends of its chunk, except
    at the ends of the half. The last chunk of a half ends with the half and owns all frames from r/2 after
    its own first frame on.
    """

    chunks: ChunkBatch
    owned_from: npt.NDArray[np.int64]
    """(chunks,): first frame that the chunk owns, counted within the chunk."""
    owned_to: npt.NDArray[np.int64]
    """(chunks,): one past the last frame that the chunk owns."""


def tile(halves: tuple[Half, ...], *, chunk_frames: int, edge_frames: int) -> Tiling:
    """Cover ``halves`` with chunks that own all their frames but ``edge_frames`` (r/2) at either end."""
    half, start, owned_from, owned_to = [], [], [], []
    for index, frames in enumerate(entry.frames for entry in halves):
        starts = _starts(frames, chunk_frames, edge_frames)
        borders = np.append(starts + edge_frames, frames)
        borders[0] = 0
        half.append(np.full(len(starts), index, dtype=np.int64))
        start.append(starts)
        owned_from.append(borders[:-1] - starts)
        owned_to.append(borders[1:] - starts)
    chunks = ChunkBatch(np.concatenate(half), np.concatenate(start))
    return Tiling(chunks, np.concatenate(owned_from), np.concatenate(owned_to))


def _starts(frames: int, chunk_frames: int, edge_frames: int) -> npt.NDArray[np.int64]:
    last = max(0, frames - chunk_frames)
    inner = np.arange(0, last, chunk_frames - 2 * edge_frames, dtype=np.int64)
    return np.append(inner, last).astype(np.int64)


def stitch(predictions: npt.NDArray[np.float32], tiling: Tiling, chunk_frames: int) -> Spots:
    """Combine the predictions of chunks to the spots of their halves.

    Args:
        predictions: (chunks, predictions, 2 + classes): confidence, location, class scores.
        tiling: Positions of the chunks.
        chunk_frames: Frames per chunk (N_F).

    Returns:
        Every prediction that falls on a frame that its chunk owns, with its most probable class. Locations
        that are NaN, from a network that diverged, count as 0.
    """
    confidence, location = predictions[..., 0], predictions[..., 1]
    place = np.minimum(np.rint(np.nan_to_num(location) * chunk_frames).astype(np.int64), chunk_frames - 1)
    owned = (place >= tiling.owned_from[:, None]) & (place < tiling.owned_to[:, None])
    chunk, _ = np.nonzero(owned)
    return Spots.from_rows(
        tiling.chunks.half[chunk],
        tiling.chunks.start[chunk] + place[owned],
        predictions[..., 2:].argmax(axis=-1)[owned],
        confidence[owned].astype(np.float32),
    )


def stitch_segmentation(
    scores: npt.NDArray[np.float32], tiling: Tiling, halves: tuple[Half, ...]
) -> tuple[npt.NDArray[np.float32], ...]:
    """Combine the segmentation scores of chunks to those of halves, each frame from the chunk that owns it.

    Args:
        scores: (chunks, frames, classes).
        tiling: Positions of the chunks.
        halves: Halves that were tiled.

    Returns:
        (frames, classes) for every half.
    """
    stitched = tuple(np.empty((half.frames, scores.shape[2]), dtype=np.float32) for half in halves)
    chunks = tiling.chunks
    spans = zip(chunks.half, chunks.start, tiling.owned_from, tiling.owned_to, strict=True)
    for chunk, (half, start, first, stop) in enumerate(spans):
        stitched[half][start + first : start + stop] = scores[chunk, first:stop]
    return stitched

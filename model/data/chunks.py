"""Chunks on a device, as one training or evaluation step reads them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model.data.sampler import ChunkBatch
from model.data.stores.store import Store
from model.memory import free_bytes, unless_out_of_memory

RESIDENT_SHARE = 0.5
"""Largest share of a GPU's free memory that the data may take; larger data stays in host memory."""


@dataclass(frozen=True, slots=True)
class Chunks:
    """Features and distances to actions of batches of chunks, one batch per cohort, time first."""

    features: Float[Tensor, "cohorts read_frames read_batch dims"]
    """Features of every chunk; with ``rows`` those of a stretch of frames, as a batch of one."""
    past: Int[Tensor, "cohorts frames batch classes"]
    """Frames since the closest action at or before the frame; see ``model.encoding.time_shift``."""
    future: Int[Tensor, "cohorts frames batch classes"]
    inside: Bool[Tensor, "cohorts frames batch"]
    """False on frames past the end of a half shorter than a chunk; these repeat the half's last frame."""
    present: Bool[Tensor, "cohorts batch"] | None = None
    """False on padding chunks, which fill up smaller batches; None if there is no padding."""
    rows: Int[Tensor, "cohorts frames batch"] | None = None
    """Place of every frame of the chunks in the stretch that ``features`` holds; None if there is none."""

    def of(self, cohorts: Int[Tensor, " chosen"]) -> "Chunks":
        """Return the batches of some cohorts."""
        return Chunks(
            self.features.index_select(0, cohorts),
            self.past.index_select(0, cohorts),
            self.future.index_select(0, cohorts),
            self.inside.index_select(0, cohorts),
            None if self.present is None else self.present.index_select(0, cohorts),
        )


class ChunkSource:
    """Source of the chunks of a split: cuts them from mapped files on a CPU, from its own memory on a GPU."""

    def __init__(self, store: Store, chunk_frames: int, *, device: torch.device, dtype: torch.dtype) -> None:
        """Prepare to cut chunks of ``store`` and to convert their features to ``dtype``."""
        self.store, self._device, self._dtype = store, device, dtype
        self._within = torch.arange(chunk_frames, device=device)[:, None]
        first, frames = (
            torch.tensor([getattr(half, name) for half in store.halves], device=device)
            for name in ("first_frame", "frames")
        )
        self._first, self._frames = first, frames
        arrays = (store.features, store.past, store.future)
        on_device: list[Tensor] | None = None
        if fits_on(device, sum(array.nbytes for array in arrays)):
            # Processes that start together can each find room for their data, and together too little.
            on_device = unless_out_of_memory(lambda: [_mapped(array).to(device) for array in arrays])
        self.is_resident = on_device is not None
        """True if chunks are cut on the device itself."""
        self._features, self._past, self._future = on_device or map(_mapped, arrays)

    def load(self, batches: Sequence[ChunkBatch], size: int = 0) -> Chunks:
        """Load one batch per cohort, each padded to ``size`` chunks or to the largest batch."""
        places = chunk_places(batches, size)
        return self.cut(sent_to(self._device, places), padded=not bool(places[2].all()))

    def load_stretches(self, batches: Sequence[ChunkBatch]) -> Chunks:
        """Load one batch per cohort, of neighbouring chunks: features of frames in several chunks once."""
        places = chunk_places(batches)
        spans = [self._span(batch) for batch in batches]
        frames = max(stop - first for first, stop in spans)
        firsts = [min(first, len(self._features) - frames) for first, _ in spans]
        stretches = torch.stack([self._features[first : first + frames] for first in firsts])
        padded = not bool(places[2].all())
        rows, inside = self._rows(sent_to(self._device, places))
        # Padding chunks may lie outside of the stretch; what they read does not count.
        within = (rows - torch.tensor(firsts, device=self._device)[:, None, None]).clamp(0, frames - 1)
        features = stretches[:, :, None].to(self._device)
        return self._chunks(features, rows, inside, places[2] if padded else None, within)

    def cut(self, place: Int[Tensor, "3 cohorts batch"], *, padded: bool) -> Chunks:
        """Cut the chunks at ``place``, a result of ``chunk_places``; never waits for the device."""
        rows, inside = self._rows(place)
        return self._chunks(self._taken(self._features, rows), rows, inside, place[2] if padded else None)

    def _rows(self, place: Int[Tensor, "3 cohorts batch"]) -> tuple[Tensor, Tensor]:
        """Return the row in the split of every frame of the chunks, and whether it lies inside the half."""
        half, start, _ = place
        within = start[:, None] + self._within
        last = self._frames[half][:, None]
        return self._first[half][:, None] + torch.minimum(within, last - 1), within < last

    def _chunks(
        self,
        features: Tensor,
        rows: Tensor,
        inside: Tensor,
        present: Tensor | None,
        within: Tensor | None = None,
    ) -> Chunks:
        return Chunks(
            # By way of float32: float16 to bfloat16 directly takes twice as long.
            features.float().to(self._dtype),
            self._taken(self._past, rows),
            self._taken(self._future, rows),
            inside,
            None if present is None else present.bool().to(self._device),
            within,
        )

    def _span(self, batch: ChunkBatch) -> tuple[int, int]:
        """Return the first row in the split of a batch's chunks, and one past the last."""
        if not len(batch):
            return 0, 0
        halves = [self.store.halves[half] for half in batch.half]
        firsts = [half.first_frame + int(start) for half, start in zip(halves, batch.start, strict=True)]
        stops = [
            min(first + len(self._within), half.first_frame + half.frames)
            for first, half in zip(firsts, halves, strict=True)
        ]
        return min(firsts), max(stops)

    def release(self) -> None:
        """Release mapped memory pages to the operating system."""
        self.store.release()

    def _taken(self, array: Tensor, rows: Int[Tensor, "cohorts frames batch"]) -> Tensor:
        taken = array.index_select(0, rows.flatten().to(array.device))
        return taken.to(self._device).view(*rows.shape, -1)


def chunk_places(batches: Sequence[ChunkBatch], size: int = 0) -> Int[Tensor, "3 cohorts batch"]:
    """Return half, start and presence (0 or 1) of every chunk, padded to ``size`` or the largest batch."""
    largest = max(size, *(len(batch) for batch in batches))
    rows: npt.NDArray[np.int64] = np.zeros((3, len(batches), largest), dtype=np.int64)
    for cohort, batch in enumerate(batches):
        rows[0, cohort, : len(batch)] = batch.half
        rows[1, cohort, : len(batch)] = batch.start
        rows[2, cohort, : len(batch)] = 1
    return torch.from_numpy(rows)


def load_chunks(
    store: Store, batch: ChunkBatch, chunk_frames: int, *, device: torch.device, dtype: torch.dtype
) -> Chunks:
    """Load one batch of chunks for all networks, with features as ``dtype``."""
    return ChunkSource(store, chunk_frames, device=device, dtype=dtype).load([batch])


def _mapped(array: npt.NDArray[np.generic]) -> Tensor:
    with warnings.catch_warnings():
        # The files are mapped read-only, torch knows no such tensors; nothing here writes to them.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


def fits_on(device: torch.device, size: int) -> bool:
    """Return whether data of ``size`` bytes may stay on a device; always true for a processor."""
    if device.type != "cuda":
        return True
    return size <= RESIDENT_SHARE * free_bytes(device)


def sent_to(device: torch.device, tensor: Tensor) -> Tensor:
    """Copy a tensor from host memory to a device.

    On a GPU the copy goes through page-locked memory: from other memory, the host would wait until the GPU
    has done everything before the copy.
    """
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)

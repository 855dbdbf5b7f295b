"""The published formulation of network and training in plain PyTorch: the baseline for speed.

It has ordinary convolution layers (``PlainNetwork``), chunks from PyTorch's DataLoader and
``torch.optim.Adam``. Its losses are those of this project, which are cheaper than the published ones.
"""

import itertools
from dataclasses import replace

import numpy as np
import torch
from baselines.plain_network import PlainNetwork
from torch.utils.data import DataLoader, Dataset

from model.data.chunks import Chunks, load_chunks
from model.data.sampler import ChunkBatch, ChunkSampler, SamplerConfig
from model.data.stores.store import Store
from model.inference.stitching import stitch, tile
from model.losses.complete import StackLoss
from model.metrics.average_map import average_map
from model.networks.calf_config import Predictions
from model.training.config import TrialConfig

BATCH, VALIDATION_BATCH = 32, 64
CPU = torch.device("cpu")


class ChunkDataset(Dataset[Chunks]):
    """Single chunks, as the published trainers read them."""

    def __init__(self, store: Store, chunks: ChunkBatch, frames: int) -> None:
        self._store, self._chunks, self._frames = store, chunks, frames

    def __len__(self) -> int:
        return len(self._chunks)

    def __getitem__(self, index: int) -> Chunks:
        """Read one chunk."""
        one = ChunkBatch(self._chunks.half[index : index + 1], self._chunks.start[index : index + 1])
        return load_chunks(self._store, one, self._frames, device=CPU, dtype=torch.float32)


def joined(chunks: list[Chunks]) -> Chunks:
    """Put chunks together to a batch."""
    names = ("features", "past", "future", "inside")
    return Chunks(*(torch.cat([getattr(chunk, name) for chunk in chunks], dim=2) for name in names))


def moved(chunks: Chunks, device: torch.device) -> Chunks:
    """Copy the tensors of a batch to a device."""
    names = ("features", "past", "future", "inside")
    return replace(chunks, **{name: getattr(chunks, name).to(device) for name in names})


class Published:
    """The published formulation."""

    def __init__(
        self,
        trial: TrialConfig,
        train: Store,
        valid: Store,
        *,
        device: torch.device = CPU,
        workers: int = 0,
    ) -> None:
        """Create network, optimiser and batches; ``workers``: processes of the DataLoader."""
        self._frames, self._valid, self._device = trial.network.chunk_frames, valid, device
        self._network = PlainNetwork(trial.network).to(device)
        self._optimizer = torch.optim.Adam(self._network.parameters())
        self._loss = StackLoss([trial.loss], [trial.network.edge_frames], device)
        plan = ChunkSampler(train, SamplerConfig(name="balanced", batch_size=BATCH), 0).epoch(0)
        chunks = ChunkBatch(*(np.concatenate([getattr(each, n) for each in plan]) for n in ("half", "start")))
        dataset = ChunkDataset(train, chunks, self._frames)
        loader = DataLoader(
            dataset,
            BATCH,
            shuffle=True,
            drop_last=True,
            collate_fn=joined,
            num_workers=workers,
            persistent_workers=workers > 0,
        )
        self._batches = itertools.chain.from_iterable(itertools.repeat(loader))
        self._tiling = tile(valid.halves, chunk_frames=self._frames, edge_frames=trial.network.edge_frames)

    def step(self) -> None:
        """Train on one batch."""
        chunks = moved(next(self._batches), self._device)
        found = self._network.train()(chunks.features[0])
        losses = self._loss(Predictions(found.segmentation[None], found.spotting[None]), chunks)
        self._optimizer.zero_grad()
        self._loss.total(losses).backward()
        self._optimizer.step()

    @torch.no_grad()
    def validate(self) -> None:
        """Predict for the validation games and score the spots."""
        network, dataset = self._network.eval(), ChunkDataset(self._valid, self._tiling.chunks, self._frames)
        loader = DataLoader(dataset, VALIDATION_BATCH, collate_fn=joined)
        found = torch.cat([network(chunks.features[0]).spotting for chunks in loader])
        average_map(
            stitch(found.numpy(), self._tiling, self._frames),
            self._valid.actions,
            classes=len(self._valid.classes),
            frame_rate=self._valid.frame_rate,
        )

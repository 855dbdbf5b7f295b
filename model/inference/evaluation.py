"""What a network says about whole halves: spots, and on a labelled split their score and the losses."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from model.data.chunks import Chunks, load_chunks
from model.data.sampler import ChunkBatch
from model.data.store import Store
from model.inference.stitching import Tiling, stitch, tile
from model.losses.complete import LossConfig, chunk_losses
from model.metrics.average_map import AverageMap, average_map
from model.networks.calf import CalfNetwork, Predictions
from model.precision import Precision, compute_dtype, reduced_precision
from model.spots import Spots

CHUNKS_AT_ONCE = 128
"""Chunks a forward pass: the fastest of 16 to 256; 128 x 240 x 512 features are 63 MB in float32."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a network reaches on a split."""

    score: AverageMap
    segmentation_loss: float
    spotting_loss: float
    spots: Spots
    """Before non-maximum suppression."""


@torch.no_grad()
def find_spots(network: CalfNetwork, store: Store, *, precision: Precision, device: torch.device) -> Spots:
    """Spot the actions of every half of ``store``; no suppression yet."""
    tiling = _tiling(network, store)
    passes = _predictions(network, store, tiling, precision, device)
    spotting = [predictions.spotting for _, predictions in passes]
    return stitch(torch.cat(spotting).cpu().numpy(), tiling, network.config.chunk_frames)


@torch.no_grad()
def evaluate(
    network: CalfNetwork,
    store: Store,
    loss: LossConfig,
    *,
    precision: Precision,
    device: torch.device,
    nms_window_s: float | None = None,
) -> Evaluation:
    """Spot the actions of every half of ``store`` and score them.

    Losses are means over the chunks that tile the halves. ``nms_window_s`` as in ``average_map``.
    """
    tiling = _tiling(network, store)
    spotting, losses, weights = [], [], []
    for chunks, predictions in _predictions(network, store, tiling, precision, device):
        pair = chunk_losses(predictions, chunks, loss, edge_frames=network.config.edge_frames)
        spotting.append(predictions.spotting)
        losses.append(torch.stack([pair.segmentation, pair.spotting]))
        weights.append(predictions.spotting.shape[0])
    spots = stitch(torch.cat(spotting).cpu().numpy(), tiling, network.config.chunk_frames)
    segmentation, spot = np.average(torch.stack(losses).cpu().numpy(), axis=0, weights=weights)
    score = average_map(
        spots,
        store.actions,
        classes=len(store.classes),
        frame_rate=store.frame_rate,
        nms_window_s=nms_window_s,
    )
    return Evaluation(score, float(segmentation), float(spot), spots)


def _tiling(network: CalfNetwork, store: Store) -> Tiling:
    config = network.config
    return tile(store.halves, chunk_frames=config.chunk_frames, edge_frames=config.edge_frames)


def _predictions(
    network: CalfNetwork, store: Store, tiling: Tiling, precision: Precision, device: torch.device
) -> Iterator[tuple[Chunks, Predictions]]:
    """The chunks of ``tiling`` and what the network says about them, a forward pass at a time."""
    network.eval()
    frames, dtype = network.config.chunk_frames, compute_dtype(precision)
    for batch in _batches(tiling.chunks):
        chunks = load_chunks(store, batch, frames, device=device, dtype=dtype)
        with reduced_precision(device, precision):
            predictions = network(chunks.features)
        yield chunks, predictions
    store.release()


def _batches(chunks: ChunkBatch) -> Iterator[ChunkBatch]:
    for first in range(0, len(chunks), CHUNKS_AT_ONCE):
        rows = slice(first, first + CHUNKS_AT_ONCE)
        yield ChunkBatch(chunks.half[rows], chunks.start[rows])

"""Scoring a network on a split: forward, stitching, spots, Average-mAP and losses."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.data.chunks import Chunks, load_chunks
from model.data.sampler import ChunkBatch
from model.data.store import Store
from model.inference.stitching import stitch, tile
from model.losses.complete import LossConfig, chunk_losses
from model.metrics.average_map import AverageMap, average_map
from model.networks.calf import CalfNetwork
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
    network.eval()
    frames, edge = network.config.chunk_frames, network.config.edge_frames
    tiling = tile(store.halves, chunk_frames=frames, edge_frames=edge)
    spotting, losses, weights = [], [], []
    for batch in _batches(tiling.chunks):
        chunks = load_chunks(store, batch, frames, device=device, dtype=compute_dtype(precision))
        predictions, pair = _forward(network, chunks, loss, precision)
        spotting.append(predictions)
        losses.append(pair)
        weights.append(len(batch))
    spots = stitch(torch.cat(spotting).cpu().numpy(), tiling, frames)
    segmentation, spot = np.average(torch.stack(losses).cpu().numpy(), axis=0, weights=weights)
    score = average_map(
        spots,
        store.actions,
        classes=len(store.classes),
        frame_rate=store.frame_rate,
        nms_window_s=nms_window_s,
    )
    store.release()
    return Evaluation(score, float(segmentation), float(spot), spots)


def _forward(
    network: CalfNetwork, chunks: Chunks, loss: LossConfig, precision: Precision
) -> tuple[Tensor, Tensor]:
    with reduced_precision(chunks.features.device, precision):
        predictions = network(chunks.features)
    losses = chunk_losses(predictions, chunks, loss, edge_frames=network.config.edge_frames)
    return predictions.spotting, torch.stack([losses.segmentation, losses.spotting])


def _batches(chunks: ChunkBatch) -> Iterator[ChunkBatch]:
    for first in range(0, len(chunks), CHUNKS_AT_ONCE):
        rows = slice(first, first + CHUNKS_AT_ONCE)
        yield ChunkBatch(chunks.half[rows], chunks.start[rows])

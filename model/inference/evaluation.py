"""Run networks on whole halves: spots, segmentation, and on a labelled split the score and the losses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from model.data.chunks import Chunks, ChunkSource
from model.data.sampler import ChunkBatch
from model.data.store import Store
from model.inference.stitching import Tiling, stitch, stitch_segmentation, tile
from model.losses.complete import LossConfig, StackLoss
from model.metrics.average_map import AverageMap, average_map
from model.networks.calf import CalfNetwork
from model.networks.calf_config import Predictions
from model.networks.stack import Stack, group_for_device
from model.precision import Precision, compute_dtype, computing
from model.spots import Spots

CHUNKS_AT_ONCE = 128
"""Chunks per forward pass: the fastest of 16 to 256 on two cores (63 MB for 240 frames of 512 float32)."""
FRAMES_AT_ONCE = 128 * 240
"""Most frames per forward pass, so that long chunks of high frame rates take no more memory than others."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Score, losses and spots of a network on a split."""

    score: AverageMap
    segmentation_loss: float
    spotting_loss: float
    spots: Spots
    """Spots before non-maximum suppression."""


@torch.no_grad()
def find_spots(network: CalfNetwork, store: Store, *, precision: Precision, device: torch.device) -> Spots:
    """Spot the actions of every half of ``store``, without suppression."""
    config = network.config
    source = ChunkSource(store, config.chunk_frames, device=device, dtype=compute_dtype(precision))
    tiling = _tiling(network, store)
    passes = _predictions([network], source, tiling, device)
    with computing(precision, device):
        spotting = torch.cat([predictions.spotting[0] for _, (predictions,) in passes])
    return stitch(spotting.cpu().numpy(), tiling, config.chunk_frames)


@torch.no_grad()
def find_segmentation(
    network: CalfNetwork, store: Store, *, precision: Precision, device: torch.device
) -> tuple[npt.NDArray[np.float32], ...]:
    """Compute the segmentation scores, in [0, 1], of every half of ``store``, (frames, classes) each."""
    source = ChunkSource(store, network.config.chunk_frames, device=device, dtype=compute_dtype(precision))
    tiling = _tiling(network, store)
    passes = _predictions([network], source, tiling, device)
    with computing(precision, device):
        scores = torch.cat([predictions.segmentation[0] for _, (predictions,) in passes], dim=1)
    return stitch_segmentation(scores.float().transpose(0, 1).cpu().numpy(), tiling, store.halves)


@torch.no_grad()
def evaluate(
    networks: Sequence[CalfNetwork],
    source: ChunkSource,
    losses: Sequence[LossConfig],
    *,
    device: torch.device,
    nms_window_s: float | None = None,
) -> list[Evaluation]:
    """Spot the actions of every half of a split with networks that share r, and score them.

    Args:
        networks: Networks with the same r; they read the same chunks, which tile the halves for this r.
        source: Source of the split's chunks, in the number format to compute in.
        losses: Loss settings, one per network. Losses are means over the chunks.
        device: Device to compute on.
        nms_window_s: Width of the suppression in seconds, as in ``average_map``.
    """
    config, store = networks[0].config, source.store
    tiling = _tiling(networks[0], store)
    stack_losses = [
        StackLoss(group, [config.edge_frames] * len(group), device)
        for group in group_for_device(losses, device)
    ]
    spotting, sums = [], []
    for chunks, outputs in _predictions(networks, source, tiling, device):
        pairs = [loss(predictions, chunks) for loss, predictions in zip(stack_losses, outputs, strict=True)]
        rows = [torch.stack([pair.segmentation, pair.spotting]) for pair in pairs]
        spotting.append(torch.cat([predictions.spotting for predictions in outputs]))
        sums.append(torch.cat(rows, dim=1) * spotting[-1].shape[1])
    means = (torch.stack(sums).double().sum(dim=0) / len(tiling.chunks)).cpu().tolist()
    found = torch.cat(spotting, dim=1).cpu().numpy()
    evaluations = []
    for rows, segmentation, spot in zip(found, *means, strict=True):
        spots = stitch(rows, tiling, config.chunk_frames)
        score = average_map(
            spots,
            store.actions,
            classes=len(store.classes),
            frame_rate=store.frame_rate,
            nms_window_s=nms_window_s,
        )
        evaluations.append(Evaluation(score, segmentation, spot, spots))
    return evaluations


def _tiling(network: CalfNetwork, store: Store) -> Tiling:
    config = network.config
    return tile(store.halves, chunk_frames=config.chunk_frames, edge_frames=config.edge_frames)


def _predictions(
    networks: Sequence[CalfNetwork], source: ChunkSource, tiling: Tiling, device: torch.device
) -> Iterator[tuple[Chunks, list[Predictions]]]:
    """Yield the chunks of ``tiling`` and the outputs of each stack, one forward pass at a time."""
    stacks = [Stack(group, device) for group in group_for_device(networks, device)]
    for batch in _batches(tiling.chunks, networks[0].config.chunk_frames):
        chunks = source.load([batch])
        yield chunks, [stack.forward(chunks.features, stack.statistics) for stack in stacks]
    source.release()


def _batches(chunks: ChunkBatch, chunk_frames: int) -> Iterator[ChunkBatch]:
    count = max(1, min(CHUNKS_AT_ONCE, FRAMES_AT_ONCE // chunk_frames))
    for first in range(0, len(chunks), count):
        rows = slice(first, first + count)
        yield ChunkBatch(chunks.half[rows], chunks.start[rows])

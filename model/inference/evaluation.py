"""Run networks on whole halves: spots, segmentation, and on a labelled split the score and the losses."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from model.data.chunks import Chunks, ChunkSource, sent_to
from model.data.sampler import ChunkBatch
from model.data.stores.store import Store
from model.errors import DataError
from model.inference.stitching import Tiling, stitch, stitch_segmentation, tile
from model.losses.complete import LossConfig, StackLoss
from model.memory import free_bytes, keep_freed_memory
from model.metrics.average_map import LOOSE_TOLERANCES_S, AverageMap, average_map
from model.networks.calf import CalfNetwork
from model.networks.calf_config import Predictions
from model.networks.stack import Stack, group_for_device
from model.precision import Precision, compute_dtype, computing
from model.spots import Spots

CHUNKS_AT_ONCE = 64
"""Chunks per forward pass: on a processor as fast as any of 16 to 128, with half the memory of 128."""
MOST_WAITING = 1.25
"""Most chunks of a network, relative to those of another, to evaluate both together on a GPU."""
FREE_SHARE = 0.5
"""Largest share of a GPU's free memory that a forward pass may take."""
BYTES_A_COLUMN = 32
"""Bytes that a forward pass takes per frame and column of a network, its inputs included: an upper bound."""
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
    """Spot the actions of every half of ``store``, without suppression.

    Raises:
        DataError: Outputs of the network are NaN or infinite, so that spots would be missing.
    """
    config = network.config
    source = ChunkSource(store, config.chunk_frames, device=device, dtype=compute_dtype(precision))
    tiling = _tiling(network, store)
    passes = _predictions([network], [1], [tiling], source, device)
    with computing(precision, device):
        spotting = torch.cat([predictions.spotting[0] for _, _, (predictions,) in passes])
    rows = spotting.cpu().numpy()
    _require_finite(rows, tiling.chunks, store)
    return stitch(rows, tiling, config.chunk_frames)


def _require_finite(rows: npt.NDArray[np.float32], chunks: ChunkBatch, store: Store) -> None:
    """Check the outputs of all chunks, the first axis of ``rows``."""
    wrong = np.flatnonzero(~np.isfinite(rows).reshape(len(rows), -1).all(axis=1))
    if not len(wrong):
        return
    half, first = store.halves[chunks.half[wrong[0]]], int(chunks.start[wrong[0]])
    features = store.features[half.first_frame : half.first_frame + half.frames]
    raise DataError(
        f"the outputs of the network are not finite from frame {first} of half {half.number} of {half.game} "
        f"on (its features reach {np.abs(features).max():.3g})",
        fix="check that these features are scaled as those of the training, and that the network's training "
        "did not diverge",
    )


@torch.no_grad()
def find_segmentation(
    network: CalfNetwork, store: Store, *, precision: Precision, device: torch.device
) -> tuple[npt.NDArray[np.float32], ...]:
    """Compute the segmentation scores, in [0, 1], of every half of ``store``, (frames, classes) each."""
    source = ChunkSource(store, network.config.chunk_frames, device=device, dtype=compute_dtype(precision))
    tiling = _tiling(network, store)
    passes = _predictions([network], [1], [tiling], source, device)
    with computing(precision, device):
        scores = torch.cat([predictions.segmentation[0] for _, _, (predictions,) in passes], dim=1)
    return stitch_segmentation(scores.float().transpose(0, 1).cpu().numpy(), tiling, store.halves)


@torch.no_grad()
def evaluate(
    networks: Sequence[CalfNetwork],
    source: ChunkSource,
    losses: Sequence[LossConfig],
    *,
    device: torch.device,
    nms_window_s: float | None = None,
    tolerances_s: Sequence[float] = LOOSE_TOLERANCES_S,
) -> list[Evaluation]:
    """Spot the actions of every half of a split with each network, and score them.

    Args:
        networks: Networks, which may differ in f and r; those with the same r read the same chunks.
        source: Source of the split's chunks, in the number format to compute in.
        losses: Loss settings, one per network. Losses are means over the chunks.
        device: Device to compute on.
        nms_window_s: Width of the suppression in seconds, as in ``average_map``.
        tolerances_s: Tolerances in seconds, as full widths.
    """
    store = source.store

    def scored(index: int, predicted: _Predicted) -> Evaluation:
        spots = stitch(predicted.rows, predicted.tiling, networks[index].config.chunk_frames)
        score = average_map(
            spots,
            store.actions,
            classes=len(store.classes),
            frame_rate=store.frame_rate,
            nms_window_s=nms_window_s,
            tolerances_s=tolerances_s,
        )
        return Evaluation(score, predicted.segmentation, predicted.spotting, spots)

    # Scoring 100 games takes 0.4 s a network, during which a GPU would wait: NumPy lets threads share it.
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        evaluations = {
            index: threads.submit(scored, index, predicted)
            for group in _groups(networks, store, device)
            for index, predicted in _predict(group, networks, losses, source, device).items()
        }
    return [evaluations[index].result() for index in range(len(networks))]


@dataclass(frozen=True, slots=True)
class _Cohort:
    """Networks with the same r, which read the same chunks."""

    tiling: Tiling
    networks: list[int]
    """Indices of the networks."""


def _groups(networks: Sequence[CalfNetwork], store: Store, device: torch.device) -> list[list[_Cohort]]:
    """Group networks to compute together: on a GPU also those with other r and about as many chunks.

    A network that has read all its chunks waits for the others of its group.
    """
    by_edge: dict[int, _Cohort] = {}
    for index, network in enumerate(networks):
        edge = network.config.edge_frames
        if edge not in by_edge:
            by_edge[edge] = _Cohort(_tiling(network, store), [])
        by_edge[edge].networks.append(index)
    groups: list[list[_Cohort]] = []
    for cohort in sorted(by_edge.values(), key=lambda cohort: len(cohort.tiling.chunks)):
        fewest = len(groups[-1][0].tiling.chunks) if groups else 0
        if device.type == "cuda" and len(cohort.tiling.chunks) <= MOST_WAITING * fewest:
            groups[-1].append(cohort)
        else:
            groups.append([cohort])
    return groups


@dataclass(frozen=True, slots=True)
class _Predicted:
    """Predictions of a network for all chunks of a split, and its mean losses."""

    tiling: Tiling
    segmentation: float
    spotting: float
    rows: npt.NDArray[np.float32]
    """Spotting outputs of every chunk, in the order of the tiling."""


def _predict(
    cohorts: Sequence[_Cohort],
    networks: Sequence[CalfNetwork],
    losses: Sequence[LossConfig],
    source: ChunkSource,
    device: torch.device,
) -> dict[int, _Predicted]:
    """Predict for a group of networks and compute their losses; returns index -> predictions."""
    members = [index for cohort in cohorts for index in cohort.networks]
    tilings = [cohort.tiling for cohort in cohorts for _ in cohort.networks]
    own = [networks[index] for index in members]
    counts = [len(cohort.networks) for cohort in cohorts]
    stack_losses = [
        StackLoss(group, edges, device)
        for group, edges in zip(
            group_for_device([losses[index] for index in members], device),
            group_for_device([network.config.edge_frames for network in own], device),
            strict=True,
        )
    ]
    numbered = [number for number, count in enumerate(counts) for _ in range(count)]
    cohort_of = torch.tensor(numbered, device=device) if len(cohorts) > 1 else None
    spotting, sums = [], []
    for chunks, sizes, outputs in _predictions(
        own, counts, [cohort.tiling for cohort in cohorts], source, device
    ):
        pairs = [
            loss(predictions, chunks, cohort_of)
            for loss, predictions in zip(stack_losses, outputs, strict=True)
        ]
        rows = torch.cat([torch.stack([pair.segmentation, pair.spotting]) for pair in pairs], dim=1)
        seen = sent_to(device, torch.tensor([sizes[number] for number in numbered]))
        # The mean over no chunk is no number.
        sums.append(torch.where(seen > 0, rows * seen, 0.0))
        spotting.append(torch.cat([predictions.spotting for predictions in outputs]))
    totals = torch.stack(sums).double().sum(dim=0).cpu().tolist()
    found = torch.cat(spotting, dim=1).cpu().numpy()
    return {
        index: _Predicted(
            tiling,
            segmentation / len(tiling.chunks),
            spot / len(tiling.chunks),
            rows[: len(tiling.chunks)],
        )
        for index, tiling, rows, segmentation, spot in zip(members, tilings, found, *totals, strict=True)
    }


def _tiling(network: CalfNetwork, store: Store) -> Tiling:
    config = network.config
    return tile(store.halves, chunk_frames=config.chunk_frames, edge_frames=config.edge_frames)


def _predictions(
    networks: Sequence[CalfNetwork],
    counts: Sequence[int],
    tilings: Sequence[Tiling],
    source: ChunkSource,
    device: torch.device,
) -> Iterator[tuple[Chunks, list[int], list[Predictions]]]:
    """Yield chunks, their number per cohort and the outputs of each stack, one forward pass at a time.

    Args:
        networks: Networks, cohort by cohort.
        counts: Number of networks of every cohort.
        tilings: Tiling of every cohort; shorter ones are padded.
        source: Source of the chunks.
        device: Device to compute on.
    """
    keep_freed_memory()
    groups = group_for_device(networks, device)
    stacks = [Stack(group, device, counts if len(groups) == 1 else ()) for group in groups]
    size = _chunks_at_once(networks, device)
    for first in range(0, max(len(tiling.chunks) for tiling in tilings), size):
        rows = slice(first, first + size)
        batches = [ChunkBatch(tiling.chunks.half[rows], tiling.chunks.start[rows]) for tiling in tilings]
        chunks = source.load_stretches(batches)
        outputs = [stack.forward(chunks.features, stack.statistics, chunks.rows) for stack in stacks]
        yield chunks, list(map(len, batches)), outputs
    source.release()


def _chunks_at_once(networks: Sequence[CalfNetwork], device: torch.device) -> int:
    """Return the number of chunks per forward pass; on a GPU no more than its free memory holds."""
    frames = networks[0].config.chunk_frames
    count = min(CHUNKS_AT_ONCE, FRAMES_AT_ONCE // frames)
    if device.type == "cuda":
        columns = sum(network.config.columns + network.config.input_size for network in networks)
        count = min(count, int(FREE_SHARE * free_bytes(device) / (frames * columns * BYTES_A_COLUMN)))
    return max(1, count)

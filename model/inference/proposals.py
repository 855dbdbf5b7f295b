"""Run a boundary-matching network on the videos of a split: proposals, their scores, and losses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from model.data.activitynet.labels import boundary_labels
from model.data.activitynet.split import VideoSplit
from model.data.chunks import fits_on, sent_to
from model.losses.boundary import (
    BoundaryLossConfig,
    BoundaryLosses,
    BoundaryTargets,
    boundary_losses,
    draw_uniform,
    stack_targets,
)
from model.memory import unless_out_of_memory
from model.metrics.detection import LabelledSegments, detections_of, score_detections
from model.metrics.proposals import ProposalScores, Segments, score_proposals
from model.metrics.soft_nms import SoftNms, pair_scores, proposals_of
from model.networks.bmn import BoundaryMatchingNetwork, BoundaryPredictions
from model.precision import Precision

BLOCK = 256
"""Number of videos that are copied to a GPU at once."""
_NUMBER_BYTES = 4


@dataclass(frozen=True, slots=True)
class VideoBatch:
    """Batch of videos of a split, with features and targets."""

    features: Float[Tensor, "batch dims positions"]
    target: BoundaryTargets


class VideoSource:
    """Source of the videos of a split: reads them from mapped files on a CPU, from its own memory on a GPU.

    On a GPU, the labels of all videos are computed once: computing those of a batch takes the host about as
    long as the GPU needs for a step.
    """

    def __init__(self, split: VideoSplit, device: torch.device) -> None:
        """Copy all videos and their labels to a GPU whose memory is large enough."""
        self.split, self._device = split, device
        self._all: VideoBatch | None = None
        numbers = len(split.videos) * split.positions * (split.dims + split.positions)
        # Blocks and the whole are there at the same time.
        if device.type == "cuda" and fits_on(device, 2 * numbers * _NUMBER_BYTES):
            self._all = unless_out_of_memory(self._copied)

    def _copied(self) -> VideoBatch:
        blocks = _batches(len(self.split.videos), BLOCK)
        return _joined([load_videos(self.split, block, self._device) for block in blocks])

    def release(self) -> bool:
        """Release the copy of the videos on a GPU, and return whether there was one."""
        was_copied, self._all = self._all is not None, None
        return was_copied

    def load(self, indices: Sequence[int]) -> VideoBatch:
        """Load the videos at ``indices`` with their labels."""
        if self._all is None:
            return load_videos(self.split, indices, self._device)
        chosen = sent_to(self._device, torch.tensor(indices))
        targets = self._all.target
        return VideoBatch(
            self._all.features.index_select(0, chosen),
            BoundaryTargets(
                targets.start.index_select(0, chosen),
                targets.end.index_select(0, chosen),
                targets.overlap.index_select(0, chosen),
                targets.past.index_select(1, chosen),
                targets.future.index_select(1, chosen),
            ),
        )


def _joined(blocks: Sequence[VideoBatch]) -> VideoBatch:
    targets = [block.target for block in blocks]
    return VideoBatch(
        torch.cat([block.features for block in blocks]),
        BoundaryTargets(
            torch.cat([each.start for each in targets]),
            torch.cat([each.end for each in targets]),
            torch.cat([each.overlap for each in targets]),
            torch.cat([each.past for each in targets], dim=1),
            torch.cat([each.future for each in targets], dim=1),
        ),
    )


def load_videos(split: VideoSplit, indices: Sequence[int], device: torch.device) -> VideoBatch:
    """Load the features of the videos at ``indices`` and compute their labels from the activities."""
    features = torch.from_numpy(np.ascontiguousarray(split.features[indices].transpose(0, 2, 1)))
    labels = [boundary_labels(split.videos[index].shares, split.positions) for index in indices]
    return VideoBatch(features.to(device), stack_targets(labels, device))


def predict(
    network: BoundaryMatchingNetwork, features: Float[Tensor, "batch dims positions"], precision: Precision
) -> BoundaryPredictions:
    """Predict for whole videos, with matrix products in ``precision``."""
    with torch.autocast(features.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        return network(features)  # type: ignore[no-any-return]


class MeanLosses:
    """Mean losses over the videos of several batches."""

    def __init__(self) -> None:
        self._sum, self._videos = torch.zeros(3, dtype=torch.float64), 0

    def add(self, losses: BoundaryLosses, videos: int) -> None:
        """Add the losses of a batch of ``videos`` videos."""
        parts = (losses.tem, losses.regression, losses.classification)
        self._sum = self._sum.to(losses.tem.device) + videos * torch.stack([part.detach() for part in parts])
        self._videos += videos

    def by_name(self) -> dict[str, float]:
        """Return the means: ``tem_loss``, ``regression_loss``, ``classification_loss``."""
        names = ("tem_loss", "regression_loss", "classification_loss")
        return dict(zip(names, (self._sum / self._videos).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class ProposalEvaluation:
    """Proposals, scores and losses of a network on a split."""

    proposals: list[Segments]
    """Proposals of each video (n, 3): start and end in seconds, score; highest score first."""
    score: ProposalScores
    average_map: float | None
    """Average-mAP in percent; None if the split has no class scores."""
    losses: dict[str, float]
    """Mean losses by name, see ``MeanLosses``."""


@torch.no_grad()
def evaluate_proposals(
    network: BoundaryMatchingNetwork,
    videos: VideoSource,
    loss: BoundaryLossConfig,
    *,
    nms: SoftNms,
    batch_videos: int,
    precision: Precision,
    draws: torch.Generator,
) -> ProposalEvaluation:
    """Propose activities of every video of a split and score them.

    Args:
        network: Network on the device to compute on.
        videos: Videos with the positions and dimensions of the network, on the same device.
        loss: Settings of the losses.
        nms: Suppression for the pairs of the split's positions, up to the network's longest one.
        batch_videos: Videos per batch.
        precision: Number format of the matrix products.
        draws: CPU generator that chooses the pairs of the regression loss.
    """
    split, losses, scores, longest = videos.split, MeanLosses(), [], network.config.longest
    for indices in _batches(len(split.videos), batch_videos):
        batch = videos.load(indices)
        predicted = predict(network, batch.features, precision)
        drawn = draw_uniform(batch.target.overlap, draws)
        losses.add(boundary_losses(predicted, batch.target, loss, drawn, longest), len(indices))
        edges = predicted.start.cpu().numpy(), predicted.end.cpu().numpy()
        maps = predicted.confidence.cpu().numpy(), predicted.overlap.cpu().numpy()
        scores.append(pair_scores(*edges, *maps, longest))
    covered_s = np.array([video.covered_s for video in split.videos])
    proposals = proposals_of(np.concatenate(scores), covered_s, nms)
    score = score_proposals([video.segments_s for video in split.videos], proposals)
    return ProposalEvaluation(proposals, score, _average_map(split, proposals), losses.by_name())


def _batches(videos: int, size: int) -> Iterator[list[int]]:
    for first in range(0, videos, size):
        yield list(range(first, min(first + size, videos)))


def _average_map(split: VideoSplit, proposals: Sequence[Segments]) -> float | None:
    if split.class_scores is None:
        return None
    detections = detections_of(proposals, split.class_scores)
    return score_detections(_activities(split), detections).average_map


def _activities(split: VideoSplit) -> LabelledSegments:
    column = {name: index for index, name in enumerate(split.classes)}
    label = [column[name] for video in split.videos for name in video.labels]
    segment = np.concatenate([video.segments_s for video in split.videos])
    video = np.repeat(np.arange(len(split.videos)), [len(video.labels) for video in split.videos])
    return LabelledSegments(video, np.array(label, dtype=np.int64), segment, np.ones(len(label)))

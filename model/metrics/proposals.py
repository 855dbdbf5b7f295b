"""Activity proposal metrics: average recall for an average number of proposals, and the area under it.

The results are those of ActivityNet's evaluation. Its loops over thresholds and numbers of proposals are one
comparison here: an activity is recalled if the first proposal that overlaps it enough is among those
retrieved.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Segments = npt.NDArray[np.float64]

TIOU_THRESHOLDS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class ProposalScores:
    """Recall of activities by proposals."""

    recall: npt.NDArray[np.float64]
    """(thresholds, 100): share of activities recalled at a tIoU, for each average number of proposals."""
    proposals_a_video: npt.NDArray[np.float64]
    """(100,): average numbers of proposals per video, up to the largest."""

    @property
    def average_recall(self) -> npt.NDArray[np.float64]:
        """Average recall AR (100,): mean over the thresholds."""
        return np.asarray(self.recall.mean(axis=0))

    def average_recall_at(self, proposals: float) -> float:
        """Return AR@``proposals`` in percent, at the closest average number of proposals."""
        return 100.0 * float(self.average_recall[np.abs(self.proposals_a_video - proposals).argmin()])

    @property
    def auc(self) -> float:
        """Area under AR over AN, in percent of the area under a recall of 1 from 0 proposals on.

        As published, the area begins at the first number of proposals, so it stays below 100.
        """
        most = float(self.proposals_a_video[-1])
        if most == 0.0:
            return 0.0
        return 100.0 * float(np.trapezoid(self.average_recall, self.proposals_a_video)) / most


def tiou(first: Segments, second: Segments) -> npt.NDArray[np.float64]:
    """Compute the temporal intersection over union of segments (..., 2); 0 where both are empty."""
    shared = np.minimum(first[..., 1], second[..., 1]) - np.maximum(first[..., 0], second[..., 0])
    shared = np.maximum(shared, 0.0)
    union = first[..., 1] - first[..., 0] + second[..., 1] - second[..., 0] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0.0))


def score_proposals(
    activities: Sequence[Segments],
    proposals: Sequence[Segments],
    *,
    largest: float | None = 100.0,
) -> ProposalScores:
    """Compare the proposals of videos with their activities.

    Args:
        activities: Activities of each video (n, 2): start and end, in any unit.
        proposals: Proposals of each video (n, 3): start, end, score; in any order. The activities of a video
            without proposals are missed; the published code raises an error there.
        largest: Largest average number of proposals per video; None: as many as there are.
    """
    videos, given = len(activities), np.array([len(rows) for rows in proposals], dtype=np.int64)
    total = max(int(given.sum()), 1)
    limit = float(total) / videos if largest is None else largest
    # Rounded down where the published code does: the order of these products matters.
    retrieved = np.minimum((given * (limit * float(videos) / total)).astype(np.int64), given)
    shares = np.arange(1, 101) / 100.0 * (limit * float(videos) / max(int(retrieved.sum()), 1))
    taken = np.minimum((retrieved[:, None] * shares).astype(np.int64), retrieved[:, None])
    rank, video = _first_ranks(activities, proposals, retrieved, np.asarray(TIOU_THRESHOLDS))
    recalled = rank[:, :, None] < taken[video][:, None, :]
    recall = recalled.sum(axis=0) / max(len(video), 1)
    return ProposalScores(recall, shares * (float(retrieved.sum()) / videos))


def _first_ranks(
    activities: Sequence[Segments],
    proposals: Sequence[Segments],
    retrieved: npt.NDArray[np.int64],
    thresholds: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    # (activities, thresholds): rank of the first proposal that recalls it, _NEVER without; and its video.
    ranks, videos = [np.empty((0, len(thresholds)), dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for index, (truth, found, count) in enumerate(zip(activities, proposals, retrieved, strict=True)):
        best_first = found[found[:, 2].argsort()[::-1][:count], :2]
        overlap = np.zeros((len(truth), count + 1))
        overlap[:, :count] = tiou(truth[:, None, :2], best_first[None])
        # The best overlap so far only rises: how many lie below the threshold is the rank of the first above.
        so_far = np.maximum.accumulate(overlap, axis=1)
        below = (so_far[:, None, :count] < thresholds[:, None]).sum(axis=2)
        ranks.append(np.where(below < count, below, _NEVER))
        videos.append(np.full(len(truth), index))
    return np.concatenate(ranks), np.concatenate(videos)

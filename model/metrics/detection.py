"""Activity detection metrics: mean average precision at tIoU 0.5 to 0.95, and their mean (Average-mAP)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.metrics.proposals import TIOU_THRESHOLDS, Segments, tiou


@dataclass(frozen=True, slots=True)
class DetectionScores:
    """Average precision of detections."""

    precision: npt.NDArray[np.float64]
    """Average precision (thresholds, classes), for classes that have activities."""

    @property
    def mean_average_precision(self) -> npt.NDArray[np.float64]:
        """Mean average precision (thresholds,), in percent."""
        return np.asarray(100.0 * self.precision.mean(axis=1))

    @property
    def average_map(self) -> float:
        """Average-mAP in percent: mean over the thresholds."""
        return float(self.mean_average_precision.mean())


@dataclass(frozen=True, slots=True)
class LabelledSegments:
    """Segments of all videos with their classes."""

    video: npt.NDArray[np.int64]
    """(n,): index of the video."""
    label: npt.NDArray[np.int64]
    """(n,): index of the class."""
    segment: Segments
    """(n, 2): start and end, in one unit."""
    score: npt.NDArray[np.float64]
    """(n,): confidence of a detection; not used for activities."""


def detections_of(proposals: Sequence[Segments], class_scores: npt.NDArray[np.float64]) -> LabelledSegments:
    """Assign the most likely class of its video to every proposal, whose score is multiplied by the class's.

    So do the published evaluations on ActivityNet.

    Args:
        proposals: Proposals of each video (n, 3): start, end, score.
        class_scores: (videos, classes): scores of whole videos by another network.
    """
    video = np.repeat(np.arange(len(proposals)), [len(rows) for rows in proposals])
    rows = np.concatenate([np.empty((0, 3)), *proposals])
    likely = class_scores.argmax(axis=1)
    weight = np.take_along_axis(class_scores, likely[:, None], axis=1)[:, 0]
    return LabelledSegments(video, likely[video], rows[:, :2], rows[:, 2] * weight[video])


def score_detections(activities: LabelledSegments, detections: LabelledSegments) -> DetectionScores:
    """Match detections with activities of their video and class, best first, and average the precision.

    A detection is matched to the free activity that it overlaps most; if this overlap is below the threshold,
    the detection is wrong. Classes without activities are omitted, as in ActivityNet's evaluation.
    """
    levels = np.asarray(TIOU_THRESHOLDS)
    order = np.argsort(-detections.score, kind="stable")
    label = detections.label[order]
    correct = _matched(activities, detections, order, levels)
    classes = np.unique(activities.label)
    precision = np.zeros((len(levels), len(classes)))
    for column, name in enumerate(classes):
        there = label == name
        precision[:, column] = _average_precision(correct[there], int((activities.label == name).sum()))
    return DetectionScores(precision)


def _matched(
    activities: LabelledSegments,
    detections: LabelledSegments,
    order: npt.NDArray[np.int64],
    levels: npt.NDArray[np.float64],
) -> npt.NDArray[np.bool_]:
    # (detections in order, thresholds). Videos and classes do not touch each other: the first detections of
    # all of them are matched at once, then the second ones, and so on.
    groups, truth_group, found_group = _groups(activities, detections, order)
    truth = _padded(activities.segment, truth_group, groups)
    rank = _ranks(found_group, groups)
    free = np.isfinite(truth[:, None, :, 0]).repeat(len(levels), axis=1)
    correct = np.zeros((len(order), len(levels)), dtype=bool)
    segment = detections.segment[order]
    for place in range(int(rank.max(initial=-1)) + 1):
        rows = np.nonzero((rank == place) & (found_group >= 0))[0]
        group = found_group[rows]
        overlap = np.nan_to_num(tiou(segment[rows, None], truth[group]), nan=0.0)
        open_overlap = np.where(free[group], overlap[:, None], -1.0)
        best = open_overlap.argmax(axis=2)
        hit = np.take_along_axis(open_overlap, best[..., None], axis=2)[..., 0] >= levels
        at, level = np.nonzero(hit)
        free[group[at], level, best[at, level]] = False
        correct[rows] = hit
    return correct


def _groups(
    activities: LabelledSegments, detections: LabelledSegments, order: npt.NDArray[np.int64]
) -> tuple[int, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    # Pairs of video and class that have activities, numbered; detections of others get -1.
    classes = max(int(activities.label.max(initial=0)), int(detections.label.max(initial=0))) + 1
    key = activities.video * classes + activities.label
    known, truth_group = np.unique(key, return_inverse=True)
    wanted = (detections.video * classes + detections.label)[order]
    place = np.minimum(np.searchsorted(known, wanted), max(len(known) - 1, 0))
    found_group = np.where(known[place] == wanted, place, -1) if len(known) else np.full(len(wanted), -1)
    return len(known), truth_group, found_group


def _ranks(group: npt.NDArray[np.int64], groups: int) -> npt.NDArray[np.int64]:
    # How many of the same group stand before.
    by_group = np.argsort(group, kind="stable")
    sizes = np.bincount(group + 1, minlength=groups + 1)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rank = np.empty(len(group), dtype=np.int64)
    rank[by_group] = np.arange(len(group)) - np.repeat(first, sizes)
    return np.where(group >= 0, rank, -1)


def _padded(segment: Segments, group: npt.NDArray[np.int64], groups: int) -> Segments:
    # (groups, most activities, 2); NaN where a group has fewer.
    rank = _ranks(group, groups)
    padded = np.full((groups, int(rank.max(initial=0)) + 1, 2), np.nan)
    padded[group, rank] = segment
    return padded


def _average_precision(correct: npt.NDArray[np.bool_], activities: int) -> npt.NDArray[np.float64]:
    # Area under the interpolated precision, for every threshold.
    hits = np.cumsum(correct, axis=0)
    precision = hits / np.arange(1, len(correct) + 1)[:, None]
    highest = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    return np.asarray((highest * correct).sum(axis=0) / activities)

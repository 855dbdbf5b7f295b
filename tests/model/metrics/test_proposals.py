"""Proposal and detection scores against evaluations written out with loops."""

import numpy as np
import pytest

from model.metrics.detection import LabelledSegments, detections_of, score_detections
from model.metrics.proposals import TIOU_THRESHOLDS, score_proposals, tiou
from model.metrics.soft_nms import SoftNms, SoftNmsConfig, pair_scores, pair_segments


def random_segments(rng: np.random.Generator, number: int) -> np.ndarray:
    # On a coarse grid, so that overlaps are often equal and often lie on a threshold.
    start = rng.integers(0, 10, size=number)
    return np.stack([start, start + rng.integers(1, 10, size=number)], axis=1).astype(float)


def random_videos(rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
    truth = [random_segments(rng, int(rng.integers(1, 5))) for _ in range(7)]
    found = []
    for _ in truth:
        number = int(rng.integers(3, 40))
        found.append(np.column_stack([random_segments(rng, number), rng.permutation(number)]))
    return truth, found


def iou(a: np.ndarray, b: np.ndarray) -> float:
    shared = max(min(a[1], b[1]) - max(a[0], b[0]), 0.0)
    return shared / ((a[1] - a[0]) + (b[1] - b[0]) - shared)


def naive_recall(truth: list, found: list, threshold: float, share: float, ratio: float) -> float:
    hits = 0
    for activities, proposals in zip(truth, found, strict=True):
        best_first = sorted(proposals.tolist(), key=lambda row: -row[2])
        best_first = best_first[: min(int(len(proposals) * ratio), len(proposals))]
        count = min(int(len(best_first) * share), len(best_first))
        hits += sum(any(iou(a, np.array(p)) >= threshold for p in best_first[:count]) for a in activities)
    return hits / sum(map(len, truth))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("largest", [None, 5.0, 100.0])
def test_recall_is_that_of_loops(seed: int, largest: float | None) -> None:
    truth, found = random_videos(np.random.default_rng(seed))
    scores = score_proposals(truth, found, largest=largest)
    total = sum(map(len, found))
    limit = largest or total / len(truth)
    ratio = limit * len(truth) / total
    retrieved = sum(min(int(len(rows) * ratio), len(rows)) for rows in found)
    for row, threshold in enumerate(TIOU_THRESHOLDS):
        for column in range(0, 100, 13):
            share = (column + 1) / 100.0 * (limit * len(truth) / retrieved)
            expected = naive_recall(truth, found, threshold, share, ratio)
            assert scores.recall[row, column] == pytest.approx(expected, abs=1e-12)


def test_a_video_without_proposals_is_missed_not_an_error() -> None:
    truth = [np.array([[0.0, 5.0]]), np.array([[1.0, 4.0]])]
    scores = score_proposals(truth, [np.empty((0, 3)), np.array([[1.0, 4.0, 0.5]])])
    assert scores.average_recall_at(100) == pytest.approx(50.0)
    assert score_proposals(truth, [np.empty((0, 3))] * 2).auc == 0.0


def test_perfect_proposals_recall_everything() -> None:
    truth = [random_segments(np.random.default_rng(seed), 3) for seed in range(4)]
    scores = score_proposals(truth, [np.column_stack([rows, [3, 2, 1]]) for rows in truth], largest=None)
    assert scores.average_recall_at(3) == pytest.approx(100.0)
    assert scores.recall.min() >= 0.0
    assert (np.diff(scores.average_recall) >= 0).all()


def naive_soft_nms(segments: np.ndarray, scores: np.ndarray, config: SoftNmsConfig) -> list[float]:
    left = {index: score for index, score in enumerate(scores)}
    kept = []
    while len(left) > 1 and len(kept) < config.proposals + 1:
        best = max(left, key=lambda index: (left[index], -index))
        kept.append(left.pop(best))
        width = segments[best, 1] - segments[best, 0]
        for other in left:
            overlap = iou(segments[best], segments[other])
            if overlap > config.low + (config.high - config.low) * width + 1e-12:
                left[other] *= np.exp(-(overlap**2) / config.alpha)
    return sorted(kept, reverse=True)


@pytest.mark.parametrize("seed", range(4))
def test_suppression_is_that_of_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    segments = np.sort(rng.uniform(size=(150, 2)), axis=1)
    scores, config = rng.uniform(size=150), SoftNmsConfig(proposals=30)
    before = scores.copy()
    kept, values = SoftNms(segments, config)(scores)
    np.testing.assert_allclose(values, naive_soft_nms(segments, scores, config), rtol=1e-12)
    assert len(set(kept.tolist())) == len(kept) == 31
    np.testing.assert_array_equal(scores, before)


def test_no_segment_is_taken_twice_however_often_it_is_weakened() -> None:
    segments = pair_segments(32)
    config = SoftNmsConfig(alpha=0.003, low=0.0, high=0.0, proposals=300)
    kept, values = SoftNms(segments, config)(np.random.default_rng(0).uniform(size=len(segments)))
    assert len(set(kept.tolist())) == len(kept) == 301 and values.min() >= 0


def test_longest_pair_limits_proposals_and_their_scores() -> None:
    segments = pair_segments(20, 5)
    assert np.rint((segments[:, 1] - segments[:, 0]) * 20).max() == 5 and len(segments) == 19 * 5 - 10
    maps = np.random.default_rng(0).uniform(size=(2, 20, 20)).astype(np.float32)
    edges = np.ones((2, 20), dtype=np.float32)
    every, short = (pair_scores(edges, edges, maps, maps, longest=longest) for longest in (None, 5))
    all_segments = pair_segments(20)
    is_short = np.rint((all_segments[:, 1] - all_segments[:, 0]) * 20) <= 5
    np.testing.assert_array_equal(short, every[:, is_short])


def test_pairs_end_before_the_last_position_as_published() -> None:
    segments = pair_segments(10)
    assert len(segments) == 45
    assert segments.max() == pytest.approx(0.9)


def naive_precision(truth: LabelledSegments, found: LabelledSegments, label: int, threshold: float) -> float:
    activities = np.nonzero(truth.label == label)[0]
    chosen = np.nonzero(found.label == label)[0]
    taken: set[int] = set()
    correct = []
    for index in sorted(chosen, key=lambda i: (-found.score[i], i)):
        candidates = [
            (float(tiou(truth.segment[a], found.segment[index])), -a)
            for a in activities
            if truth.video[a] == found.video[index] and a not in taken
        ]
        best = max(candidates, default=(-1.0, 0))
        correct.append(best[0] >= threshold)
        if correct[-1]:
            taken.add(-best[1])
    area, precision = 0.0, [sum(correct[: n + 1]) / (n + 1) for n in range(len(correct))]
    for place, hit in enumerate(correct):
        area += max(precision[place:]) / len(activities) if hit else 0.0
    return area


def random_labelled(rng: np.random.Generator, number: int, classes: int) -> LabelledSegments:
    return LabelledSegments(
        rng.integers(0, 5, size=number),
        rng.integers(0, classes, size=number),
        random_segments(rng, number),
        rng.permutation(number) / number,
    )


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_that_of_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, found = random_labelled(rng, 25, 3), random_labelled(rng, 120, 4)
    scores = score_detections(truth, found)
    expected = [
        [naive_precision(truth, found, label, threshold) for label in np.unique(truth.label)]
        for threshold in TIOU_THRESHOLDS
    ]
    np.testing.assert_allclose(scores.precision, expected, rtol=1e-12)
    assert scores.average_map == pytest.approx(100.0 * np.mean(expected))


def test_every_proposal_gets_the_likely_class_of_its_video() -> None:
    proposals = [np.array([[0.0, 1.0, 0.5], [2.0, 3.0, 0.4]]), np.array([[4.0, 5.0, 1.0]])]
    class_scores = np.array([[0.1, 0.7, 0.2], [0.6, 0.0, 0.4]])
    found = detections_of(proposals, class_scores)
    assert found.label.tolist() == [1, 1, 0]
    np.testing.assert_allclose(found.score, [0.35, 0.28, 0.6])

"""Proposals, soft-NMS and average recall against the published code."""

import numpy as np
import pytest
from parity.bmn_options import options, suppression
from parity.golden import Case, cases

from model.metrics.proposals import score_proposals
from model.metrics.soft_nms import (
    SoftNms,
    SoftNmsConfig,
    pair_scores,
    pair_segments,
    proposals_of,
)

POST = cases("7_bmn_post.npz", having=["in_start", "in_cls_map", "softnms_xmin_xmax_score"])
TIES = cases("7_bmn_post.npz", having=["in_xmin_xmax_score", "softnms_xmin_xmax_score"])
RECALL = cases("7_bmn_ar.npz", having=["in_gt_video_start_end", "recall_tiou_x_100", "auc_percent"])


def scores_of(case: Case) -> np.ndarray:
    arrays = (case[f"in_{name}"][None] for name in ("start", "end", "cls_map", "reg_map"))
    return pair_scores(*arrays)


def suppression_of(case: Case) -> SoftNmsConfig:
    size = {"temporal_scale": len(case["in_start"])} if "in_start" in case.names else {}
    return suppression(options(case, **size))


@pytest.mark.parametrize("case", POST)
def test_proposals_are_those_of_the_published_code(case: Case) -> None:
    positions, expected = len(case["in_start"]), case["proposals_xmin_xmax_score"]
    computed = np.column_stack([pair_segments(positions), scores_of(case)[0]])
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("case", POST)
def test_suppression_keeps_what_the_published_code_keeps(case: Case) -> None:
    segments = pair_segments(len(case["in_start"]))
    kept, values = SoftNms(segments, suppression_of(case))(scores_of(case)[0])
    expected = case["softnms_xmin_xmax_score"]
    np.testing.assert_allclose(
        np.column_stack([segments[kept], values]),
        expected[np.argsort(-expected[:, 2], kind="stable")],
        rtol=0,
        atol=1e-7,
    )


@pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.4.0",
    reason="the expected scores come from the order in which NumPy 2.4 and later leave equal scores",
)
@pytest.mark.parametrize("case", TIES)
def test_equal_scores_are_suppressed_to_the_same_scores(case: Case) -> None:
    rows = case["in_xmin_xmax_score"]
    # Of equal scores the first wins: here the order that the reference's unstable sort left behind.
    rows = rows[::-1][rows[::-1, 2].argsort(kind="heapsort")][::-1]
    _, values = SoftNms(rows[:, :2], suppression_of(case))(rows[:, 2])
    expected = np.sort(case["softnms_xmin_xmax_score"][:, 2])[::-1]
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("case", POST)
def test_results_are_in_the_seconds_of_the_published_code(case: Case) -> None:
    positions = len(case["in_start"])
    frames = float(case["in_duration_frame"])
    # The published code maps the positions to the video up to its last full 16 frames.
    covered_s = np.array([frames // 16 * 16 / frames * float(case["in_duration_second"])])
    nms = SoftNms(pair_segments(positions), suppression_of(case))
    (computed,) = proposals_of(scores_of(case), covered_s, nms)
    np.testing.assert_allclose(computed, case["result_start_end_score"], rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("case", RECALL)
def test_average_recall_is_that_of_the_published_evaluation(case: Case) -> None:
    truth, found = case["in_gt_video_start_end"], case["in_prop_video_start_end_score"]
    videos = np.unique(truth[:, 0])
    largest = case.number("in_max_avg_nr_proposals")
    scores = score_proposals(
        [truth[truth[:, 0] == video, 1:] for video in videos],
        [found[found[:, 0] == video, 1:] for video in videos],
        largest=None if largest == -1 else float(largest),
    )
    np.testing.assert_allclose(scores.recall, case["recall_tiou_x_100"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(scores.average_recall, case["avg_recall"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(scores.proposals_a_video, case["proposals_per_video"], rtol=1e-12)
    assert scores.auc == pytest.approx(float(case["auc_percent"]), rel=1e-12)
    at = [scores.average_recall_at(number) for number in (1, 5, 10, 100)]
    expected = case["AR_at_1_5_10_100"]
    np.testing.assert_allclose(at, expected * (100.0 if expected.max() <= 1.0 else 1.0), rtol=1e-12)

"""Non-maximum suppression against the published codes: the same cells, the same confidences."""

import numpy as np
import pytest
from parity.golden import Case, cases

from model.spots import Spots, suppress

INPUTS = ("pt_timestamps_long", "in_detections")
"""What was suppressed: confidence of every frame and class, -1 without a spot."""
CASES = [
    pytest.param(*case.values, name, marks=case.marks, id=case.id)
    for name in INPUTS
    for case in cases("5_*.npz", having=[name])
]


def sparse(scores: np.ndarray) -> Spots:
    frame, class_index = np.nonzero(scores >= 0)
    score = scores[frame, class_index].astype(np.float32)
    return Spots.from_rows(np.zeros_like(frame), frame, class_index, score)


@pytest.mark.parametrize(("case", "name"), CASES)
def test_spots_that_stay_are_the_published_ones_for_every_window_even_an_odd_one(
    case: Case, name: str
) -> None:
    found = sparse(case[name])
    windows = case.numbered("nms_delta")
    assert windows
    for window_frames, expected in windows.items():
        kept = suppress(found, window_frames)
        scores = np.full(expected.shape, -1.0, dtype=np.float32)
        scores[kept.frame, kept.class_index] = kept.score
        np.testing.assert_array_equal(scores, expected.astype(np.float32))

import numpy as np
import pytest
from detections import found, rows_of, spots_of
from hypothesis import given

from model.metrics.calibration import calibration, offsets_frames
from model.metrics.matching import Matching


def test_bin_holds_its_spots_their_mean_confidence_and_how_many_are_right() -> None:
    detections = [(0, 10, 0, 0.62), (0, 40, 0, 0.68), (1, 10, 1, 1.0)]
    matching = Matching(spots_of(detections), rows_of([(0, 10, 0), (1, 12, 1)]))
    ours = calibration(matching, classes=2, tolerance_frames=10.0)
    assert (ours.spots[0, 6], ours.right[0, 6]) == (2, 1)
    assert ours.confidence[0, 6] == pytest.approx(0.65)
    assert ours.share_right[0, 6] == 0.5
    assert (ours.spots[1, 9], ours.right[1, 9]) == (1, 1)
    assert np.isnan(ours.share_right[0, 0])
    assert ours.expected_error.tolist() == pytest.approx([0.15, 0.0])


@given(found(30))
def test_every_spot_is_in_one_bin(detections) -> None:
    matching = Matching(spots_of(detections), rows_of([]))
    ours = calibration(matching, classes=2, tolerance_frames=10.0)
    assert ours.spots.sum() == len(detections)
    assert ours.right.sum() == 0


def test_class_without_spots_has_no_error() -> None:
    matching = Matching(spots_of([]), rows_of([(0, 10, 0)]))
    assert calibration(matching, classes=1, tolerance_frames=10.0).expected_error.tolist() == [0.0]


def test_offset_is_negative_for_a_spot_before_its_action() -> None:
    detections = [(0, 7, 0, 0.5), (0, 52, 1, 0.5), (0, 90, 1, 0.5)]
    matching = Matching(spots_of(detections), rows_of([(0, 10, 0), (0, 50, 1)]))
    index, frames = offsets_frames(matching, 10.0)
    assert (index.tolist(), frames.tolist()) == ([0, 1], [-3, 2])

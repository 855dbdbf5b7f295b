import numpy as np
from detections import cells, detections_of, found, rows_of, spots_of
from hypothesis import given, settings
from hypothesis import strategies as st

from model.metrics.matching import Matching
from model.metrics.precision_recall import THRESHOLDS, Curves, precision_recall


def curves(detections, actions, tolerance: float = 10.0) -> Curves:
    matching = Matching(spots_of(detections), rows_of(actions))
    return precision_recall(matching, classes=2, tolerances_frames=[tolerance])[0]


@settings(max_examples=25)
@given(found(20), st.dictionaries(cells, st.booleans(), max_size=8))
def test_precision_and_recall_are_fractions_of_the_spots_and_actions_counted_one_by_one(
    detections, actions
) -> None:
    computed = curves(detections, actions).all
    matching = Matching(spots_of(detections), rows_of(actions))
    rows = list(zip(detections_of(matching.spots), matching.true_positives(10.0), strict=True))
    for class_index in range(2):
        number = sum(action[2] == class_index for action in actions)
        for index, threshold in enumerate(THRESHOLDS):
            mine = [right for row, right in rows if row[2] == class_index and row[3] >= threshold]
            precision = sum(mine) / len(mine) if mine else 0.0
            recall = sum(mine) / number if number else 0.0
            assert computed.precision[class_index, index] == precision
            assert computed.recall[class_index, index] == recall


@given(found(20), st.dictionaries(cells, st.booleans(), max_size=8))
def test_recall_falls_with_the_threshold(detections, actions) -> None:
    result = curves(detections, actions)
    for curve in (result.all, result.visible, result.unshown):
        assert (np.diff(curve.recall) <= 0).all()
        assert curve.precision.shape == curve.recall.shape == (2, 200)


def test_spot_exactly_as_confident_as_a_threshold_is_confident_enough() -> None:
    recall = curves([(0, 10, 0, 1.0)], [(0, 10, 0)]).all.recall
    assert recall[0].tolist() == [1.0] * 200
    assert recall[1].tolist() == [0.0] * 200


def test_visible_and_unshown_actions_have_curves_of_their_own() -> None:
    detections = [(0, 10, 0, 1.0), (0, 40, 0, 1.0), (0, 60, 0, 1.0)]
    result = curves(detections, {(0, 10, 0): True, (0, 50, 0): False, (0, 90, 0): False}, 20.0)
    parts = (result.all, result.visible, result.unshown)
    assert [part.precision[0, 0] for part in parts] == [2 / 3, 1.0, 0.5]
    assert [part.recall[0, 0] for part in parts] == [2 / 3, 1.0, 0.5]


def test_spot_counts_for_the_kind_of_action_it_belongs_to_not_for_the_one_that_took_it() -> None:
    # Frames from 13 on belong to the unshown action, but the visible one comes first and takes the spot.
    result = curves([(0, 14, 0, 1.0)], {(0, 10, 0): True, (0, 16, 0): False}, 10.0)
    assert result.visible.recall[0, 0] == 0
    assert result.unshown.recall[0, 0] == 1


def test_spot_in_a_half_without_an_action_is_an_unshown_mistake() -> None:
    result = curves([(0, 10, 0, 1.0), (1, 10, 0, 1.0)], {(0, 10, 0): True})
    assert result.visible.precision[0, 0] == 1
    assert result.all.precision[0, 0] == 0.5
    assert result.unshown.precision[0, 0] == 0

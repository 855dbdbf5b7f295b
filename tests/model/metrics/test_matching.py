import numpy as np
import oracles
import pytest
from detections import cells, detections_of, found, rows_of, spots_of
from hypothesis import given
from hypothesis import strategies as st

from model.metrics.matching import Matching


def right(detections, actions, tolerance: float) -> list[bool]:
    return Matching(spots_of(detections), rows_of(actions)).true_positives(tolerance).tolist()


@given(found(30), st.lists(cells, max_size=20, unique=True), st.integers(0, 30))
def test_every_action_takes_its_most_confident_free_spot_in_the_order_of_time(
    detections, actions, tolerance: int
) -> None:
    spots = spots_of(detections)
    taken = Matching(spots, rows_of(actions)).true_positives(tolerance)
    assert set(detections_of(spots[taken])) == oracles.matched(detections, actions, tolerance)


@pytest.mark.parametrize(("frame", "correct"), [(4, False), (5, True), (15, True), (16, False)])
def test_spot_counts_up_to_half_a_tolerance_before_and_after_its_action(frame: int, correct: bool) -> None:
    assert right([(0, frame, 0, 0.5)], [(0, 10, 0)], 10.0) == [correct]


@pytest.mark.parametrize(("per_second", "farthest"), [(2.0, 45), (2.8, 63), (5.0, 112), (25.0, 562)])
def test_spot_counts_half_of_45_s_away_at_every_frame_rate(per_second: float, farthest: int) -> None:
    """At 2.8 frames per second, rounding would make 45 s less than 126 frames."""
    for away, correct in ((farthest, True), (farthest + 1, False)):
        assert right([(0, 100 + away, 0, 0.5)], [(0, 100, 0)], 45.0 * per_second) == [correct]


def test_spot_of_another_class_or_half_does_not_count() -> None:
    assert right([(0, 10, 1, 0.5), (1, 10, 0, 0.5)], [(0, 10, 0)], 10.0) == [False, False]


def test_spot_of_another_half_does_not_count_within_a_tolerance_longer_than_the_half() -> None:
    assert right([(0, 10, 0, 0.5), (1, 0, 0, 0.5)], [(0, 9, 0), (0, 10, 0)], 1e6) == [True, False]


def test_one_spot_serves_one_action() -> None:
    detections = [(0, 10, 0, 0.5), (0, 13, 0, 0.25)]
    assert right(detections, [(0, 11, 0), (0, 12, 0), (0, 14, 0)], 10.0) == [True, True]


def test_unshown_action_takes_a_spot_like_any_other() -> None:
    assert right([(0, 10, 0, 0.5)], {(0, 10, 0): False}, 10.0) == [True]


def test_same_spots_can_be_matched_within_one_tolerance_after_the_other() -> None:
    matching = Matching(spots_of([(0, 10, 0, 0.5)]), rows_of([(0, 13, 0)]))
    assert [matching.true_positives(tolerance).item() for tolerance in (5.0, 6.0, 5.0)] == [
        False,
        True,
        False,
    ]


@given(found(30), st.dictionaries(cells, st.booleans(), max_size=12))
def test_spot_belongs_to_the_closest_action_of_its_class_and_half(detections, actions) -> None:
    spots = spots_of(detections)
    owners = [oracles.action_of(row, list(actions)) for row in detections_of(spots)]
    expected = [owner is not None and actions[owner] for owner in owners]
    assert Matching(spots, rows_of(actions)).near_visible.tolist() == expected


def test_the_middle_frame_between_two_actions_belongs_to_the_later_one() -> None:
    spots = spots_of([(0, frame, 0, 0.5) for frame in (0, 10, 11, 12, 99)])
    actions = {(0, 10, 0): False, (0, 13, 0): True}
    assert Matching(spots, rows_of(actions)).near_visible.tolist() == [False, False, True, True, True]


def test_last_frame_of_a_half_belongs_to_its_action_though_the_next_half_begins_with_one() -> None:
    spots = spots_of([(0, 9, 0, 0.5), (1, 0, 0, 0.5), (1, 9, 0, 0.5)])
    assert Matching(spots, rows_of({(0, 0, 0): True, (1, 0, 0): True})).near_visible.all()
    assert Matching(spots, rows_of({(0, 9, 0): True, (1, 9, 0): True})).near_visible.all()


def test_no_actions_or_no_spots_match_nothing() -> None:
    without_actions = Matching(spots_of([(0, 1, 0, 0.5)]), rows_of([]))
    assert not without_actions.true_positives(4.0).any()
    assert not without_actions.near_visible.any()
    without_spots = Matching(spots_of([]), rows_of([(0, 1, 0)]))
    assert without_spots.true_positives(4.0).shape == without_spots.near_visible.shape == (0,)


def test_actions_may_come_in_any_order() -> None:
    spots = spots_of([(0, 1, 1, 0.5), (1, 5, 0, 0.5)])
    actions = rows_of({(0, 1, 1): True, (1, 5, 0): False})
    for rows in (actions, np.flip(actions, axis=0)):
        matching = Matching(spots, rows)
        assert matching.true_positives(0.0).tolist() == [True, True]
        assert matching.near_visible.tolist() == [True, False]

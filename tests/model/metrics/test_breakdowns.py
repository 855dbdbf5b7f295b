import numpy as np
import oracles
import pytest
from detections import cells, found, rows_of, spots_of
from hypothesis import given, settings
from hypothesis import strategies as st

from model.metrics.average_map import average_map
from model.metrics.breakdowns import (
    GAME_TIME_EDGES_S,
    VICINITY_EDGES_S,
    Groups,
    average_map_by_group,
    bin_of,
    break_actions,
    by_game_time,
    by_vicinity,
    distance_to_others,
    vicinity_edges,
)
from model.metrics.matching import Matching
from model.timeline import FrameRate

RATE = FrameRate(2.0)
OPTIONS = {"classes": 2, "frame_rate": RATE}
action_lists = st.lists(cells, max_size=8, unique=True)


def everything(matching: Matching) -> Groups:
    return Groups(np.zeros(len(matching.actions), np.int64), np.zeros(len(matching.spots), np.int64))


@settings(max_examples=30)
@given(found(14), action_lists, st.sampled_from([None, 3.0]))
def test_one_group_of_everything_scores_as_the_split(detections, actions, nms_window_s) -> None:
    spots, rows = spots_of(detections), rows_of(actions)
    (group,) = average_map_by_group(spots, rows, everything, groups=1, nms_window_s=nms_window_s, **OPTIONS)
    expected = average_map(spots, rows, nms_window_s=nms_window_s, **OPTIONS)
    assert group.actions == len(actions)
    np.testing.assert_array_equal(group.score.average_precision, expected.average_precision)


@settings(max_examples=30)
@given(found(14), action_lists)
def test_halves_as_groups_score_as_if_each_were_a_split(detections, actions) -> None:
    def halves(matching: Matching) -> Groups:
        return Groups(matching.actions.half, matching.spots.half)

    groups = average_map_by_group(spots_of(detections), rows_of(actions), halves, groups=2, **OPTIONS)
    for half, group in enumerate(groups):
        own = [[row for row in rows if row[0] == half] for rows in (detections, actions)]
        expected = average_map(spots_of(own[0]), rows_of(own[1]), **OPTIONS)
        np.testing.assert_array_equal(group.score.average_precision, expected.average_precision)


@given(action_lists)
def test_distance_is_to_the_closest_other_action_whatever_its_class(actions) -> None:
    matching = Matching(spots_of([]), rows_of(actions))
    ours = matching.actions
    mine = list(zip(ours.half.tolist(), ours.frame.tolist(), ours.class_index.tolist(), strict=True))
    expected = [
        min(
            (abs(row[1] - other[1]) for other in actions if other != row and other[0] == row[0]),
            default=np.inf,
        )
        for row in mine
    ]
    assert distance_to_others(ours.half, ours.frame).tolist() == expected


def test_right_spot_goes_with_its_action_into_the_bin_before() -> None:
    # 4:58 and 5:02 at 2 frames a second: the borders of the first two bins.
    score = average_map_by_group(
        spots_of([(0, 604, 0, 0.9)]),
        rows_of([(0, 596, 0)]),
        by_game_time(np.array([1]), RATE),
        groups=2,
        tolerances_s=(10.0,),
        **OPTIONS,
    )
    assert [group.actions for group in score] == [1, 0]
    assert score[0].score.average_map == 1.0


def test_wrong_spot_lowers_the_bin_it_lies_in_and_no_other() -> None:
    detections = [(0, 100, 0, 0.5), (0, 700, 0, 0.5), (0, 800, 0, 0.9)]
    score = average_map_by_group(
        spots_of(detections),
        rows_of([(0, 100, 0), (0, 700, 0)]),
        by_game_time(np.array([1]), RATE),
        groups=2,
        tolerances_s=(10.0,),
        **OPTIONS,
    )
    assert [group.score.average_map for group in score] == [1.0, 0.5]


def test_second_half_and_stoppage_time_have_bins_of_their_own() -> None:
    actions = rows_of([(0, 5399, 0), (0, 5400, 0), (1, 0, 0), (1, 9000, 0)])
    groups = by_game_time(np.array([1, 2]), RATE)(Matching(spots_of([]), actions))
    assert groups.of_action.tolist() == [8, 9, 10, 19]
    assert len(GAME_TIME_EDGES_S) == 11


def test_match_of_one_part_has_one_clock() -> None:
    actions = rows_of([(0, 5400, 0), (0, 10799, 0), (0, 10800, 0)])
    groups = by_game_time(np.array([1, 1]), RATE)(Matching(spots_of([]), actions))
    assert groups.of_action.tolist() == [9, 17, 18]


def test_wrong_spot_goes_with_the_closest_action_of_its_class_or_with_none() -> None:
    actions = rows_of([(0, 0, 0), (0, 50, 0), (0, 52, 1)])
    matching = Matching(spots_of([(0, 20, 0, 0.5), (0, 30, 0, 0.5), (1, 30, 0, 0.5)]), actions)
    groups = by_vicinity(RATE, VICINITY_EDGES_S)(matching)
    assert groups.of_action.tolist() == bin_of(np.array([25.0, 1.0, 1.0]), VICINITY_EDGES_S).tolist()
    assert groups.of_spot.tolist() == [groups.of_action[0], groups.of_action[1], -1]


@pytest.mark.parametrize(("gap_s", "first_s"), [(40.0, 10.0), (9.0, 1.0), (0.5, 0.1)])
def test_bins_of_vicinity_are_finer_where_actions_are_close(gap_s: float, first_s: float) -> None:
    actions = rows_of([(0, round(n * gap_s * RATE.per_second), 0) for n in range(5)])
    edges_s = vicinity_edges(actions, RATE)
    assert edges_s[1] == pytest.approx(first_s) and len(edges_s) == len(VICINITY_EDGES_S)


def test_class_without_actions_in_a_group_is_left_out_of_its_mean() -> None:
    (group,) = average_map_by_group(
        spots_of([(0, 5, 0, 0.5)]), rows_of([(0, 5, 0)]), everything, groups=1, **OPTIONS
    )
    assert group.score.average_map == 1.0


def test_bins_hold_their_lower_edge_and_the_last_holds_infinity() -> None:
    assert bin_of(np.array([0.0, 9.99, 10.0, 599.0, 1e9, np.inf]), VICINITY_EDGES_S).tolist() == [
        0,
        0,
        1,
        9,
        10,
        10,
    ]


def test_actions_of_the_break_are_those_on_the_first_frame_of_the_second_half() -> None:
    actions = rows_of([(0, 0, 0), (1, 0, 0), (1, 1, 0)])
    assert break_actions(actions, np.array([1, 2])).tolist() == [False, True, False]


@given(found(30), action_lists, st.integers(0, 30))
def test_every_right_spot_names_an_action_of_its_class_in_reach_and_none_is_named_twice(
    detections, actions, tolerance: int
) -> None:
    matching = Matching(spots_of(detections), rows_of(actions))
    row = matching.counted_for(tolerance)
    named = row[row >= 0]
    assert len(set(named.tolist())) == len(named) == len(oracles.matched(detections, actions, tolerance))
    for mine, action in zip(np.flatnonzero(row >= 0), named, strict=True):
        assert matching.spots.half[mine] == matching.actions.half[action]
        assert matching.spots.class_index[mine] == matching.actions.class_index[action]
        assert abs(matching.spots.frame[mine] - matching.actions.frame[action]) <= tolerance / 2

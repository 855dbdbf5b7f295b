import numpy as np
import oracles
import pytest
from detections import cells, found, rows_of, spots_of
from hypothesis import given, settings
from hypothesis import strategies as st

from model.metrics.average_map import (
    LOOSE_TOLERANCES_S,
    TIGHT_TOLERANCES_S,
    AverageMap,
    SpottingScore,
    average_map,
    score_spots,
)
from model.timeline import FrameRate

RATE = FrameRate(2.0)
TOLERANCES_S = (2.5, 5.0, 11.0)


def score(
    detections: list[oracles.Detection],
    actions: list[oracles.Action],
    *,
    tolerances_s: tuple[float, ...] = TOLERANCES_S,
    nms_window_s: float | None = None,
) -> AverageMap:
    return average_map(
        spots_of(detections),
        rows_of(actions),
        classes=2,
        frame_rate=RATE,
        nms_window_s=nms_window_s,
        tolerances_s=tolerances_s,
    )


def parts(detections, actions, **options) -> SpottingScore:
    return score_spots(spots_of(detections), rows_of(actions), classes=2, frame_rate=RATE, **options)


@settings(max_examples=40)
@given(found(14), st.lists(cells, max_size=6, unique=True), st.sampled_from([None, 3.0]))
def test_score_is_that_of_the_slow_published_way(detections, actions, nms_window_s: float | None) -> None:
    computed = score(detections, actions, nms_window_s=nms_window_s)
    expected = oracles.average_map(
        detections,
        actions,
        classes=2,
        tolerances_frames=[2 * tolerance_s for tolerance_s in TOLERANCES_S],
        windows_frames=[round(2 * (nms_window_s or tolerance_s)) for tolerance_s in TOLERANCES_S],
    )
    assert computed.average_map == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40)
@given(found(14), st.dictionaries(cells, st.booleans(), max_size=8), st.sampled_from([0.0, 3.0]))
def test_visible_and_unshown_scores_are_those_of_the_slow_published_way(
    detections, actions, nms_window_s: float
) -> None:
    computed = parts(detections, actions, nms_window_s=nms_window_s, tolerances_s=TOLERANCES_S)
    kept = oracles.suppress(detections, round(2 * nms_window_s)) if nms_window_s else detections
    shares = {
        "all": lambda action: True,
        "visible": lambda action: action is not None and actions[action],
        "unshown": lambda action: action is None or not actions[action],
    }
    for name, share in shares.items():
        expected = [
            [
                oracles.share_average_precision(
                    [row for row in kept if row[2] == index],
                    [row for row in actions if row[2] == index],
                    share,
                    2 * tolerance_s,
                )
                for index in range(2)
            ]
            for tolerance_s in TOLERANCES_S
        ]
        np.testing.assert_allclose(getattr(computed, name).average_precision, expected, atol=1e-12)


@given(st.sets(st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 1)), min_size=1))
def test_perfect_spots_score_one_in_every_class_that_has_actions(places) -> None:
    actions = [(half, 60 * frame, class_index) for half, frame, class_index in places]
    result = score([(*action, 1.0) for action in actions], actions, tolerances_s=(5.0, 10.0, 30.0))
    present = {action[2] for action in actions}
    assert result.per_class == tuple(float(index in present) for index in range(2))
    assert result.average_map == len(present) / 2


def test_nothing_found_scores_zero() -> None:
    assert score([], [(0, 10, 0), (0, 20, 1)]).average_map == 0


def test_spots_without_actions_score_zero() -> None:
    assert score([(0, 10, 0, 0.5)], []).average_map == 0


def test_class_without_actions_counts_as_zero_in_the_mean() -> None:
    assert score([(0, 10, 0, 0.5)], [(0, 10, 0)]).average_map == 0.5


def test_average_map_is_the_mean_of_the_classes() -> None:
    detections = [(0, 10, 0, 0.75), (0, 31, 0, 0.5), (0, 50, 1, 0.5), (1, 9, 1, 0.25)]
    result = score(detections, [(0, 11, 0), (0, 30, 0), (1, 5, 1)])
    assert 0 < result.average_map < 1
    assert result.average_map == pytest.approx(sum(result.per_class) / 2)


def test_late_spot_scores_by_the_area_over_the_tolerances() -> None:
    # Right within 10 and 15 seconds, not within 5: the trapezoids are 1/2 and 1 of two.
    result = score([(0, 18, 0, 0.5)], [(0, 10, 0)], tolerances_s=(5.0, 10.0, 15.0))
    assert result.per_class == (0.75, 0.0)


def test_single_tolerance_is_its_own_mean() -> None:
    assert score([(0, 10, 0, 0.5)], [(0, 10, 0)], tolerances_s=(5.0,)).per_class == (1.0, 0.0)


def test_confidences_between_two_of_the_200_thresholds_are_not_distinguished() -> None:
    # 99/199 = 0.4975 and 100/199 = 0.5025 are neighbours.
    result = score([(0, 10, 0, 0.502), (0, 60, 0, 0.498)], [(0, 10, 0)], tolerances_s=(5.0,))
    assert result.per_class[0] == 0.5


def test_unfound_action_costs_the_recall_levels_it_is_needed_for() -> None:
    result = score([(0, 10, 0, 0.5)], [(0, 10, 0), (0, 60, 0)], tolerances_s=(5.0,))
    assert result.per_class[0] == pytest.approx(6 / 11)  # recall 0, 0.1 ... 0.5


def test_unshown_score_is_the_mean_over_the_classes_that_have_unshown_actions() -> None:
    found = [(0, 10, 0, 1.0), (0, 50, 1, 1.0)]
    result = parts(found, {(0, 10, 0): False, (0, 50, 1): True})
    assert result.all.average_map == 1
    assert result.visible.per_class == (0, 1)
    assert result.visible.average_map == 0.5
    assert result.unshown.per_class == (1, 0)
    assert result.unshown.average_map == 1


def test_without_unshown_actions_their_score_is_zero() -> None:
    result = parts([(0, 10, 0, 1.0)], [(0, 10, 0)])
    assert result.unshown.average_map == 0
    assert result.unshown.per_class == (0, 0)


def test_false_spots_of_a_half_without_an_action_spoil_the_unshown_score_not_the_visible_one() -> None:
    found = [(0, 10, 0, 0.5), (0, 50, 0, 0.5), (1, 10, 0, 1.0)]
    result = parts(found, {(0, 10, 0): True, (0, 50, 0): False}, tolerances_s=(5.0,))
    assert result.visible.per_class[0] == 1
    assert result.unshown.per_class[0] == 0.5
    assert result.all.per_class[0] == pytest.approx(2 / 3)


@given(found(14), st.dictionaries(cells, st.booleans(), max_size=8))
def test_average_map_is_the_score_of_all_actions_shown_or_not(detections, actions) -> None:
    alone = average_map(spots_of(detections), rows_of(actions), classes=2, frame_rate=RATE)
    np.testing.assert_array_equal(alone.average_precision, parts(detections, actions).all.average_precision)


@pytest.mark.parametrize("tolerance_s", [0.0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("nms_window_s", [None, 0.0, 0.25])
def test_tolerances_too_short_for_a_neighbouring_frame_accept_the_very_frame(
    tolerance_s: float, nms_window_s: float | None
) -> None:
    found = [(0, 10, 0, 1.0), (0, 11, 1, 1.0)]
    result = score(found, [(0, 10, 0), (0, 10, 1)], tolerances_s=(tolerance_s,), nms_window_s=nms_window_s)
    assert result.per_class == (1, 0)


def test_suppression_window_of_zero_keeps_all_spots() -> None:
    found = [(0, 10, 0, 1.0), (0, 11, 0, 0.5)]
    actions = [(0, 10, 0), (0, 11, 0)]
    assert score(found, actions, nms_window_s=0.0).per_class[0] == 1
    assert score(found, actions, nms_window_s=2.0).per_class[0] == pytest.approx(6 / 11)


def test_loose_tolerances_are_5_to_60_seconds_and_tight_ones_1_to_5() -> None:
    assert LOOSE_TOLERANCES_S == (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60)
    assert TIGHT_TOLERANCES_S == (1, 2, 3, 4, 5)


def test_mean_over_classes_present_leaves_out_a_class_without_actions() -> None:
    result = score([(0, 10, 0, 0.5), (0, 30, 1, 0.5)], [(0, 10, 0), (0, 60, 0)], tolerances_s=(5.0, 11.0))
    assert result.present.tolist() == [True, False]
    assert result.average_map_present == pytest.approx(6 / 11)
    assert result.average_map == result.average_map_present / 2
    assert result.by_name(("goal", "card")) == {
        "average_map": result.average_map,
        "average_map_present": result.average_map_present,
        "ap/goal": result.per_class[0],
    }


def test_class_that_is_never_spotted_is_present_with_an_ap_of_zero() -> None:
    result = score([(0, 10, 0, 0.5)], [(0, 10, 0), (0, 60, 1)])
    assert result.average_map_present == result.average_map == 0.5
    assert result.by_name(("goal", "card"))["ap/card"] == 0.0


def test_every_part_of_the_actions_has_its_own_classes_present() -> None:
    result = parts([], {(0, 10, 0): True, (0, 60, 1): False})
    assert [part.present.tolist() for part in (result.all, result.visible, result.unshown)] == [
        [True, True],
        [True, False],
        [False, True],
    ]


def test_without_any_action_both_means_are_zero() -> None:
    result = score([(0, 10, 0, 0.5)], [])
    assert result.by_name(("goal", "card")) == {"average_map": 0.0, "average_map_present": 0.0}

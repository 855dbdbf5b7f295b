from pathlib import Path

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.metrics.average_map import AverageMap, average_map, true_positives
from model.spots import Spots
from model.timeline import FrameRate

RATE = FrameRate(2.0)
TOLERANCES_S = (2.5, 5.0, 11.0)

confidences = st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0.0, 1.0, width=32)
cells = st.tuples(st.integers(0, 1), st.integers(0, 60), st.integers(0, 1))


def spots_of(detections: list[oracles.Detection]) -> Spots:
    rows = np.array([row[:3] for row in detections], dtype=np.int64).reshape(-1, 3)
    return Spots.from_rows(*rows.T, np.array([row[3] for row in detections], dtype=np.float32))


def rows_of(actions: list[oracles.Action]) -> np.ndarray:
    return np.array([(*action, 1) for action in sorted(actions)], dtype=np.int64).reshape(-1, 4)


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


@settings(max_examples=40)
@given(
    st.dictionaries(cells, confidences, max_size=14),
    st.lists(cells, max_size=6, unique=True),
    st.sampled_from([None, 3.0]),
)
def test_score_is_that_of_the_slow_published_way(found, actions, nms_window_s: float | None) -> None:
    detections = [(*cell, confidence) for cell, confidence in found.items()]
    computed = score(detections, actions, nms_window_s=nms_window_s)
    expected = oracles.average_map(
        detections,
        actions,
        classes=2,
        tolerances_frames=[2 * tolerance_s for tolerance_s in TOLERANCES_S],
        windows_frames=[round(2 * (nms_window_s or tolerance_s)) for tolerance_s in TOLERANCES_S],
    )
    assert computed.average_map == pytest.approx(expected, abs=1e-12)


@given(
    st.dictionaries(cells, confidences, max_size=30),
    st.lists(cells, max_size=20, unique=True),
    st.integers(0, 30),
)
def test_every_action_takes_its_most_confident_free_spot_in_the_order_of_time(
    found, actions, tolerance: int
) -> None:
    detections = [(*cell, confidence) for cell, confidence in found.items()]
    correct = true_positives(spots_of(detections), rows_of(actions), float(tolerance))
    assert correct.sum() == oracles.hits(detections, actions, tolerance)


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


@pytest.mark.parametrize(("frame", "correct"), [(4, False), (5, True), (15, True), (16, False)])
def test_spot_counts_up_to_half_a_tolerance_before_and_after_its_action(frame: int, correct: bool) -> None:
    spots = spots_of([(0, frame, 0, 0.5)])
    assert true_positives(spots, rows_of([(0, 10, 0)]), 10.0).tolist() == [correct]


def test_spot_of_another_class_or_half_does_not_count() -> None:
    spots = spots_of([(0, 10, 1, 0.5), (1, 10, 0, 0.5)])
    assert not true_positives(spots, rows_of([(0, 10, 0)]), 10.0).any()


def test_one_spot_serves_one_action() -> None:
    spots = spots_of([(0, 10, 0, 0.5), (0, 13, 0, 0.25)])
    correct = true_positives(spots, rows_of([(0, 11, 0), (0, 12, 0), (0, 14, 0)]), 10.0)
    assert correct.tolist() == [True, True]


def test_late_spot_scores_by_the_area_over_the_tolerances() -> None:
    # Right within 10 and 15 seconds, not within 5: the trapezoids are 1/2 and 1 of two.
    result = score([(0, 18, 0, 0.5)], [(0, 10, 0)], tolerances_s=(5.0, 10.0, 15.0))
    assert result.per_class == (0.75, 0.0)


def test_single_tolerance_is_its_own_mean() -> None:
    assert score([(0, 10, 0, 0.5)], [(0, 10, 0)], tolerances_s=(5.0,)).per_class == (1.0, 0.0)


def test_confidences_between_two_of_the_200_thresholds_are_not_told_apart() -> None:
    # 99/199 = 0.4975 and 100/199 = 0.5025 are neighbours.
    result = score([(0, 10, 0, 0.502), (0, 60, 0, 0.498)], [(0, 10, 0)], tolerances_s=(5.0,))
    assert result.per_class[0] == 0.5


def test_unfound_action_costs_the_recall_levels_it_is_needed_for() -> None:
    result = score([(0, 10, 0, 0.5)], [(0, 10, 0), (0, 60, 0)], tolerances_s=(5.0,))
    assert result.per_class[0] == pytest.approx(6 / 11)  # recall 0, 0.1 ... 0.5


@pytest.mark.parametrize(
    ("case", "source", "window_s"),
    [("c3_20halves", "pt", 20.0), ("c17_4halves_unshown", "pt", 20.0), ("c3_20halves", "keras", None)],
)
def test_score_is_that_of_the_published_codes(
    shared: Path, case: str, source: str, window_s: float | None
) -> None:
    with np.load(shared / "golden" / "6_average_map.npz") as file:
        actions, places = (file[f"{case}/in_{name}"].astype(np.int64) for name in ("gt", "det_hfc"))
        spots = Spots.from_rows(*places.T, file[f"{case}/in_det_score"])
        total, per_class = (file[f"{case}/{source}_a_mAP{suffix}"] for suffix in ("", "_per_class"))
        table = file[f"{case}/{source}_AP_per_delta_class"]
    result = average_map(spots, actions, classes=len(per_class), frame_rate=RATE, nms_window_s=window_s)
    assert result.average_map == pytest.approx(float(total), abs=1e-9)
    np.testing.assert_allclose(result.average_precision, table, rtol=0, atol=1e-9)
    np.testing.assert_allclose(result.per_class, per_class, rtol=0, atol=1e-9)

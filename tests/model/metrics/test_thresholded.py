import numpy as np
import oracles
import pytest
from detections import cells, found, rows_of, spots_of
from hypothesis import given, settings
from hypothesis import strategies as st

from model.metrics.precision_recall import THRESHOLDS
from model.metrics.thresholded import confusion, threshold_counts
from model.timeline import FrameRate

OPTIONS = {"classes": 2, "frame_rate": FrameRate(2.0)}
action_lists = st.lists(cells, max_size=8, unique=True)


def results(detections, actions, threshold: float, index: int, tolerance_s: float) -> tuple[int, int, int]:
    """TP, FP and FN by the oracles: suppressed, cut, matched."""
    kept = oracles.suppress([row for row in detections if row[2] == index], int(2 * tolerance_s))
    confident = [row for row in kept if row[3] >= threshold]
    mine = [row for row in actions if row[2] == index]
    right = len(oracles.matched(confident, mine, 2 * tolerance_s))
    return right, len(confident) - right, len(mine) - right


@settings(max_examples=30)
@given(found(14), action_lists, st.sampled_from([0, 1, 50, 100, 199]))
def test_numbers_are_those_of_suppressing_cutting_and_matching_in_turn(detections, actions, cut) -> None:
    counts = threshold_counts(spots_of(detections), rows_of(actions), tolerances_s=(5.0, 20.0), **OPTIONS)
    ours = counts.at(np.full((2, 2), cut))
    for row, tolerance_s in enumerate((5.0, 20.0)):
        for index in (0, 1):
            came = tuple(
                int(part[row, index])
                for part in (ours.true_positives, ours.false_positives, ours.false_negatives)
            )
            assert came == results(detections, actions, THRESHOLDS[cut], index, tolerance_s)


@settings(max_examples=20)
@given(found(14), action_lists)
def test_no_threshold_gives_a_higher_f1_than_the_chosen_one(detections, actions) -> None:
    counts = threshold_counts(spots_of(detections), rows_of(actions), tolerances_s=(10.0,), **OPTIONS)
    chosen = counts.at(counts.best_f1()).f1
    for cut in range(len(THRESHOLDS)):
        assert (counts.at(np.full((1, 2), cut)).f1 <= chosen).all()


def test_class_without_a_right_spot_shows_as_few_as_possible() -> None:
    detections = [(0, 10, 0, 0.9), (0, 30, 1, 0.8)]
    counts = threshold_counts(spots_of(detections), rows_of([(0, 10, 0)]), tolerances_s=(5.0,), **OPTIONS)
    ours = counts.at(counts.best_f1())
    assert ours.threshold[0, 1] == 1.0 and ours.false_positives[0].tolist() == [0, 0]


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    detections = [(0, 10, 0, 0.9), (0, 30, 0, 0.8), (0, 50, 0, 0.7)]
    actions = [(0, 10, 0), (0, 30, 0), (1, 5, 0), (1, 30, 0)]
    counts = threshold_counts(spots_of(detections), rows_of(actions), tolerances_s=(5.0,), **OPTIONS)
    ours = counts.at(np.zeros((1, 2), dtype=np.int64))
    assert (ours.precision[0, 0], ours.recall[0, 0]) == (2 / 3, 1 / 2)
    assert ours.f1[0, 0] == pytest.approx(2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2))
    assert ours.precision[0, 1] == ours.recall[0, 1] == ours.f1[0, 1] == 0.0


def test_threshold_chosen_on_one_split_is_used_on_another() -> None:
    valid = threshold_counts(
        spots_of([(0, 10, 0, 0.9), (0, 50, 0, 0.5)]), rows_of([(0, 10, 0)]), tolerances_s=(5.0,), **OPTIONS
    )
    test = threshold_counts(
        spots_of([(0, 10, 0, 0.4)]), rows_of([(0, 10, 0)]), tolerances_s=(5.0,), **OPTIONS
    )
    ours = test.at(valid.best_f1())
    assert 0.5 < ours.threshold[0, 0] <= 0.9
    assert (ours.true_positives[0, 0], ours.false_negatives[0, 0]) == (0, 1)


def naive_confusion(detections, actions, tolerance: float) -> np.ndarray:
    """Own class first, then whatever is left in the order of time."""
    table = np.zeros((3, 3), dtype=int)
    spots, waiting = list(detections), []
    for half, frame, index in sorted(actions, key=lambda row: (row[2], row[0], row[1])):
        reach = [
            row
            for row in spots
            if row[0] == half and row[2] == index and abs(row[1] - frame) <= tolerance / 2
        ]
        if not reach:
            waiting.append((half, frame, index))
            continue
        spots.remove(max(reach, key=lambda row: (row[3], -row[1])))
        table[index, index] += 1
    for half, frame, index in sorted(waiting):
        reach = [row for row in spots if row[0] == half and abs(row[1] - frame) <= tolerance / 2]
        if not reach:
            table[index, 2] += 1
            continue
        best = max(reach, key=lambda row: (row[3], -row[1], -row[2]))
        spots.remove(best)
        table[index, best[2]] += 1
    for row in spots:
        table[2, row[2]] += 1
    return table


@given(found(20), action_lists, st.integers(0, 40))
def test_confusion_is_that_of_matching_own_classes_first_and_then_any(detections, actions, tolerance) -> None:
    table = confusion(spots_of(detections), rows_of(actions), classes=2, tolerance_frames=float(tolerance))
    np.testing.assert_array_equal(table, naive_confusion(detections, actions, tolerance))


def test_two_classes_in_one_frame_are_both_confused_with_what_is_near() -> None:
    detections = [(0, 10, 2, 0.9), (0, 11, 2, 0.8)]
    table = confusion(
        spots_of(detections), rows_of([(0, 10, 0), (0, 10, 1)]), classes=3, tolerance_frames=10.0
    )
    assert table[0, 2] == table[1, 2] == 1
    assert table.sum() == 2

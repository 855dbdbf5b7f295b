import numpy as np
import oracles
from hypothesis import example, given
from hypothesis import strategies as st

from model.spots import Spots, positions, strengths, suppress, window_maximum

Detections = list[oracles.Detection]

confidences = st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0.0, 1.0, width=32)


def spots_of(detections: Detections) -> Spots:
    rows = np.array([row[:3] for row in detections], dtype=np.int64).reshape(-1, 3)
    return Spots.from_rows(*rows.T, np.array([row[3] for row in detections], dtype=np.float32))


def rows_of(spots: Spots) -> Detections:
    columns = (spots.half, spots.frame, spots.class_index, spots.score)
    return [(int(h), int(f), int(c), float(np.float64(s))) for h, f, c, s in zip(*columns, strict=True)]


detections = st.dictionaries(
    st.tuples(st.integers(0, 2), st.integers(0, 40), st.integers(0, 1)), confidences, max_size=40
).map(lambda cells: [(*cell, score) for cell, score in cells.items()])


@given(detections, st.integers(0, 30))
@example([(0, 0, 0, 0.875), (0, 1, 0, 0.75), (0, 2, 0, 0.625), (0, 4, 0, 0.5)], 4)
def test_suppression_equals_taking_one_spot_at_a_time(found: Detections, window: int) -> None:
    assert sorted(rows_of(suppress(spots_of(found), window))) == oracles.suppress(found, window)


def test_window_reaches_one_frame_farther_back_than_ahead() -> None:
    neighbours = [(0, frame, 0, 0.5) for frame in (7, 8, 11, 12)]
    kept = rows_of(suppress(spots_of([(0, 10, 0, 0.75), *neighbours]), 4))
    assert [row[1] for row in kept] == [7, 10, 12]


def test_earlier_of_equally_confident_spots_wins() -> None:
    assert suppress(spots_of([(0, 5, 0, 0.5), (0, 6, 0, 0.5)]), 4).frame.tolist() == [5]


def test_spots_of_other_classes_and_halves_are_left_alone() -> None:
    found = [(0, 5, 0, 0.5), (0, 5, 1, 0.25), (1, 5, 0, 0.25), (0, 6, 0, 0.25)]
    assert rows_of(suppress(spots_of(found), 20)) == sorted(
        found[:3], key=lambda row: (row[0], row[2], row[1])
    )


def test_no_spots_are_no_spots_after_suppression() -> None:
    assert len(suppress(spots_of([]), 20)) == 0


def test_rows_are_sorted_and_the_most_confident_of_a_cell_stays() -> None:
    cells = [(1, 3, 0), (0, 9, 1), (0, 9, 0), (0, 2, 1), (1, 3, 0), (1, 3, 0)]
    rows = np.array(cells, dtype=np.int64)
    spots = Spots.from_rows(*rows.T, np.array([0.25, 0.5, 0.5, 0.5, 0.75, 0.5], dtype=np.float32))
    assert rows_of(spots) == [(0, 9, 0, 0.5), (0, 2, 1, 0.5), (0, 9, 1, 0.5), (1, 3, 0, 0.75)]


@given(detections, detections, st.integers(0, 9))
def test_positions_keep_distances_and_hold_strangers_apart(a: Detections, b: Detections, gap: int) -> None:
    first, second = spots_of(a), spots_of(b)
    places = positions(first, second, gap_frames=gap)
    for place, spots in zip(places, (first, second), strict=True):
        assert (np.diff(place) > 0).all()
        for other_place, other in zip(places, (first, second), strict=True):
            distance = place[:, None] - other_place
            relatives = (spots.half[:, None] == other.half) & (
                spots.class_index[:, None] == other.class_index
            )
            frames_apart = spots.frame[:, None] - other.frame
            assert (distance[relatives] == frames_apart[relatives]).all()
            assert (np.abs(distance[~relatives]) > gap).all()


@given(st.lists(confidences, max_size=20))
def test_strengths_rank_by_confidence_then_by_earlier_row(scores: list[float]) -> None:
    ranks = strengths(np.array(scores, dtype=np.float32))
    assert sorted(ranks.tolist()) == list(range(len(scores)))
    by_strength = sorted(range(len(scores)), key=lambda row: (-scores[row], row))
    assert by_strength == np.argsort(-ranks).tolist()


@given(st.lists(st.integers(0, 99), max_size=9), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_window_maximum_looks_at_every_window(values: list[int], windows: list[tuple[int, int]]) -> None:
    windows = [(min(low, len(values)), min(high, len(values))) for low, high in windows]
    low, high = np.array(windows, dtype=np.int64).reshape(-1, 2).T
    expected = [max(values[a:b], default=-1) for a, b in windows]
    assert window_maximum(np.array(values, dtype=np.int64), low, high).tolist() == expected

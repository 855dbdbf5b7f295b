import numpy as np
import oracles
import pytest
from detections import cells, found, rows_of, spots_of
from hypothesis import given, settings
from hypothesis import strategies as st

from model.metrics.average_map import average_map
from model.metrics.resampling import draws_of_games, resampled_average_map
from model.timeline import FrameRate

RATE = FrameRate(2.0)
GAMES = np.array([0, 1])
"""The two halves of the cases, as if each were a game."""


@settings(max_examples=30)
@given(
    found(14), st.lists(cells, max_size=6, unique=True), st.sampled_from([None, 3.0]), st.sampled_from([0, 1])
)
def test_a_draw_scores_as_a_split_that_holds_its_games_as_often(
    detections: list[oracles.Detection],
    actions: list[oracles.Action],
    nms_window_s: float | None,
    twice: int,
) -> None:
    draws = np.array([[1, 1], [2, 0] if twice == 0 else [0, 2]])
    options = {"classes": 2, "frame_rate": RATE, "nms_window_s": nms_window_s}
    drawn, of_present = (
        resampled_average_map(
            spots_of(detections),
            rows_of(actions),
            game_of_half=GAMES,
            draws=draws,
            only_present=only_present,
            **options,
        )
        for only_present in (False, True)
    )
    copies = [
        [(half, *row[1:]) for row in rows if row[0] == twice for half in (0, 1)]
        for rows in (detections, actions)
    ]
    splits = [(detections, actions), copies]
    for score, present, (found_rows, action_rows) in zip(drawn, of_present, splits, strict=True):
        expected = average_map(spots_of(found_rows), rows_of(action_rows), **options)
        assert score == pytest.approx(expected.average_map, abs=1e-12)
        assert present == pytest.approx(expected.average_map_present, abs=1e-12)


def test_rare_class_leaves_the_mean_of_a_draw_without_its_games() -> None:
    actions = [(0, 10, 0), (1, 10, 0), (1, 90, 1)]
    detections = [(*action, 0.9) for action in actions]
    drawn = resampled_average_map(
        spots_of(detections),
        rows_of(actions),
        game_of_half=GAMES,
        draws=np.array([[1, 1], [2, 0]]),
        classes=2,
        frame_rate=RATE,
        only_present=True,
    )
    assert drawn.tolist() == pytest.approx([1.0, 1.0])


def test_every_draw_has_as_many_games_as_there_are_and_follows_the_seed() -> None:
    draws = draws_of_games(7, 50, np.random.default_rng(3))
    assert draws.shape == (50, 7) and set(draws.sum(axis=1)) == {7}
    assert (draws == draws_of_games(7, 50, np.random.default_rng(3))).all()
    assert len({tuple(row) for row in draws}) > 40

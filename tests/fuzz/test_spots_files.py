"""Files of spots: every spot is in the file, in the numbers and texts that SoccerNet's evaluation reads."""

import tempfile
from pathlib import Path

import numpy as np
from fuzz.broken import from_json
from fuzz.cases import FUZZ, outcome
from hypothesis import given
from hypothesis import strategies as st

from model.errors import UserError
from model.inference.spots_file import write_spots
from model.spots import Spots
from model.timeline import FrameRate, parse_game_time

rows = st.tuples(st.integers(0, 1), st.integers(0, 200_000), st.integers(0, 1), st.floats(0, 1, width=32))
games = st.sampled_from(("league/season/game", "game", "ligue/2014-2015/Ångström", "a/b/c\udcff"))
labels = st.tuples(st.text(max_size=10), st.sampled_from(("Goal", "Größe", "\udcff", '"', "\u2028", "\x00")))


@FUZZ
@given(st.lists(rows, max_size=6), games, labels, st.sampled_from((0.5, 2.0, 25.0, 29.97)))
def test_every_spot_is_in_the_file(
    drawn: list[tuple[int, int, int, float]], game: str, labels: tuple[str, str], per_second: float
) -> None:
    columns = [np.array([row[index] for row in drawn], dtype=np.int64) for index in range(3)]
    spots = Spots.from_rows(*columns, np.array([row[3] for row in drawn], dtype=np.float32))
    rate = FrameRate(per_second)
    with tempfile.TemporaryDirectory() as folder:
        came = outcome(lambda: write_spots(Path(folder), spots, game=game, labels=labels, frame_rate=rate))
        if isinstance(came, UserError):
            return
        predictions = from_json(came.read_bytes())["predictions"]
    assert len(predictions) == len(spots)
    scores = [float(entry["confidence"]) for entry in predictions]
    assert scores == sorted(scores, reverse=True)
    written = sorted(
        (int(entry["half"]) - 1, int(per_second * (int(entry["position"]) / 1000)), entry["label"])
        for entry in predictions
    )
    pairs = zip(spots.half.tolist(), spots.frame.tolist(), spots.class_index.tolist(), strict=True)
    assert written == sorted((half, frame, labels[index]) for half, frame, index in pairs)
    for entry in predictions:
        half, time_s = parse_game_time(entry["gameTime"])
        assert half == int(entry["half"])
        assert 0 <= int(entry["position"]) / 1000 - time_s < 1

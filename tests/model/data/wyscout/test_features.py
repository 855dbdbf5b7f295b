import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.data.wyscout.events import MatchEvents
from model.data.wyscout.features import FEATURE_NAMES, match_features

Event = Callable[..., dict[str, Any]]
Read = Callable[[list[dict[str, Any]]], MatchEvents]
Features = npt.NDArray[np.float16]
HOME, AWAY = 1, 2


def first_half(events: MatchEvents) -> Features:
    return match_features(events, home=HOME)[0]


def column(features: Features, name: str) -> npt.NDArray[np.float32]:
    (index,) = [index for index, known in enumerate(FEATURE_NAMES) if known.startswith(name)]
    return features[:, index].astype(np.float32)


def test_there_are_64_features_with_different_names(event: Event, read: Read) -> None:
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES) == 64
    for half in match_features(read([event(3.0)]), home=HOME):
        assert half.shape[1] == 64
        assert half.dtype == np.float16


def test_a_half_ends_fifteen_seconds_after_its_last_event(event: Event, read: Read) -> None:
    assert len(first_half(read([event(1.0), event(100.6)]))) == 201 + 1 + 30


def test_an_event_stands_in_its_half_second(event: Event, read: Read) -> None:
    features = first_half(
        read([event(3.9, "Shot", "Shot"), event(4.0, "Duel", "Air duel", tags=[703, 1801])])
    )
    assert np.flatnonzero(column(features, "type: Shot")).tolist() == [7]
    for name in ("type: Duel", "sub-event: Air duel", "tag: duel won", "tag: accurate"):
        assert np.flatnonzero(column(features, name)).tolist() == [8]
    assert np.flatnonzero(column(features, "any event")).tolist() == [7, 8]


def test_events_of_one_half_second_stand_together(event: Event, read: Read) -> None:
    duel = event(5.1, "Duel", "Air duel", team=AWAY, at=(10, 20), to=(30, 30))
    features = first_half(read([event(5.0), duel]))
    for name in ("type: Pass", "type: Duel", "home team acts", "away team acts"):
        assert column(features, name)[10] == 1
    assert column(features, "log(1 + events)")[10] == pytest.approx(math.log(3), abs=1e-3)
    # The later one says where; the away team's places are turned.
    assert column(features, "start x")[10] == pytest.approx(0.8, abs=1e-3)
    assert column(features, "end y")[10] == pytest.approx(0.4, abs=1e-3)


def test_the_ball_stays_where_it_was_until_something_happens(event: Event, read: Read) -> None:
    events = [event(2.0, to=(100, 25)), event(6.0, team=AWAY, at=(0, 75), to=(25, 50))]
    features = first_half(read(events))
    x = column(features, "ball x")
    assert x[:4].tolist() == [0] * 4
    assert x[4:12].tolist() == [1] * 8
    assert x[12:].tolist() == [0.5] * len(x[12:])
    assert column(features, "distance to the nearer goal line")[[0, 4, 12]].tolist() == [1, 0, 0.5]
    assert column(features, "acting team")[[3, 4, 11, 12, 20]].tolist() == [0, 1, 1, -1, -1]


def test_an_event_without_a_place_leaves_the_ball_where_it_was(event: Event, read: Read) -> None:
    keeper = event(4.0, "Goalkeeper leaving line", "Goalkeeper leaving line", team=AWAY, at=(0, 0), to=None)
    features = first_half(read([event(2.0, to=(75, 50)), keeper]))
    assert column(features, "ball x")[8] == 0.5
    assert column(features, "start x")[8] == 0.5


def test_a_corner_starts_at_the_corner_flag(event: Event, read: Read) -> None:
    features = first_half(read([event(4.0, "Free Kick", "Corner", at=(100, 100), to=(90, 50))]))
    assert column(features, "start x")[8] == 1


def test_time_since_an_event_grows_with_its_logarithm(event: Event, read: Read) -> None:
    features = first_half(read([event(10.0, "Foul", "Foul"), event(70.0), event(75.0)]))
    since = column(features, "log time since an event")
    assert since[[0, 20, 140]].tolist() == [0, 0, 0]
    assert since[139] == pytest.approx(math.log(60.5) / math.log(61), abs=1e-3)
    dead = column(features, "log time since a dead ball")
    assert dead[20] == 0
    assert dead[150] == pytest.approx(math.log(66) / math.log(61), abs=1e-3)


def test_clock_and_half_are_reported(event: Event, read: Read) -> None:
    first, second = match_features(read([event(2700.0), event(10.0, period="2H")]), home=HOME)
    assert column(first, "clock")[5400] == 1
    assert not column(first, "second half").any()
    assert column(second, "second half").all()


def test_a_kick_off_starts_from_the_centre_spot(event: Event, read: Read) -> None:
    events = [event(2.0, at=(50, 51)), event(9.0, at=(50, 60)), event(12.0, "Duel", "Air duel", at=(50, 50))]
    assert np.flatnonzero(column(first_half(read(events)), "an event starts from the centre")).tolist() == [4]


def test_the_first_appearance_of_a_player_fades_in_two_minutes(event: Event, read: Read) -> None:
    events = [event(10.0, player=5), event(100.0, player=5), event(300.0, player=0), event(400.0, player=6)]
    appeared = column(first_half(read(events)), "a player appeared")
    assert not appeared[:20].any()
    assert appeared[20] == 1
    assert appeared[140] == 0.5
    assert not appeared[260:800].any()
    assert appeared[800] == 1


def test_a_player_of_the_first_half_is_not_new_in_the_second(event: Event, read: Read) -> None:
    events = [event(10.0, player=5), event(4.0, player=5, period="2H"), event(8.0, player=6, period="2H")]
    second = match_features(read(events), home=HOME)[1]
    assert np.flatnonzero(column(second, "a player appeared") == 1).tolist() == [16]


@st.composite
def _events(draw: st.DrawFn) -> list[tuple[float, str, str, tuple[int, int], int, int]]:
    kinds = [
        ("Pass", "Simple pass"),
        ("Duel", "Air duel"),
        ("Shot", "Shot"),
        ("Foul", "Foul"),
        ("Offside", ""),
    ]
    place = st.tuples(st.integers(0, 100), st.integers(0, 100))
    row = st.tuples(
        st.floats(0, 200), st.sampled_from(kinds), place, st.sampled_from([1, 2]), st.integers(0, 5)
    )
    return [
        (second, *kind, at, team, player)
        for second, kind, at, team, player in draw(st.lists(row, min_size=1))
    ]


@settings(deadline=None, max_examples=40)
@given(_events())
def test_exchanging_home_and_away_turns_the_pitch(event: Event, read: Read, rows: list[Any]) -> None:
    events = read(
        [event(s, kind, sub, at=at, team=team, player=player) for s, kind, sub, at, team, player in rows]
    )
    one, other = match_features(events, home=HOME)[0], match_features(events, home=AWAY)[0]
    turned = [
        index
        for index, name in enumerate(FEATURE_NAMES)
        if name.startswith(("start", "end", "ball", "acting"))
    ]
    sides = [FEATURE_NAMES.index("home team acts"), FEATURE_NAMES.index("away team acts")]
    expected = other.copy()
    expected[:, turned] *= -1
    expected[:, sides] = other[:, sides[::-1]]
    np.testing.assert_array_equal(one, expected)


@settings(deadline=None, max_examples=40)
@given(_events(), st.integers(0, 400))
def test_features_of_a_frame_depend_on_nothing_that_comes_later(
    event: Event, read: Read, rows: list[Any], frame: int
) -> None:
    def features(kept: list[Any]) -> Features:
        records = [
            event(s, kind, sub, at=at, team=team, player=player) for s, kind, sub, at, team, player in kept
        ]
        return first_half(read(records))

    past = [row for row in rows if int(row[0] * 2 + 1e-9) <= frame]
    if past:
        whole, cut = features(rows), features(past)
        shared = min(frame + 1, len(cut))
        np.testing.assert_array_equal(whole[:shared], cut[:shared])


@settings(deadline=None, max_examples=40)
@given(_events())
def test_features_are_finite_and_of_the_size_of_one(event: Event, read: Read, rows: list[Any]) -> None:
    events = read(
        [event(s, kind, sub, at=at, team=team, player=player) for s, kind, sub, at, team, player in rows]
    )
    for half in match_features(events, home=HOME):
        assert np.isfinite(half).all()
        assert np.abs(half).max() < 5

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model.data.wyscout.events import MatchEvents
from model.data.wyscout.labels import Label, MatchLabels, match_labels
from model.data.wyscout.matches import Match, Substitution

Event = Callable[..., dict[str, Any]]
Read = Callable[[list[dict[str, Any]]], MatchEvents]


def labels_of(events: MatchEvents, substitutions: Sequence[tuple[int, int, int]] = ()) -> MatchLabels:
    """``substitutions`` are (minute, player in, player out)."""
    exchanged = tuple(Substitution(minute=m, player_in=i, player_out=o) for m, i, o in substitutions)
    match = Match(
        match_id=100,
        competition="Cup",
        label="Reds - Blues",
        date=date(2018, 5, 13),
        season_id=7,
        home=1,
        away=2,
        substitutions=exchanged,
    )
    return match_labels(match, events)


def test_goals_and_cards_stand_where_their_event_stands(event: Event, read: Read) -> None:
    events = read(
        [
            event(452.1234, "Shot", "Shot", tags=[101]),
            event(9.5, "Foul", "Foul", tags=[1702], period="2H"),
            event(8.0, "Foul", "Protest", tags=[1701], period="2H"),
        ]
    )
    found = labels_of(events)
    assert found.labels == (
        Label(1, 452123, "soccer-ball"),
        Label(2, 8000, "r-card"),
        Label(2, 9500, "y-card"),
    )
    assert found.labels[0].annotation() == {
        "gameTime": "1 - 07:32",
        "label": "soccer-ball",
        "position": "452123",
        "visibility": "visible",
    }


def test_a_substitution_is_in_the_middle_of_the_longest_pause_of_its_minute(event: Event, read: Read) -> None:
    # Minute 61 of the match is 900 to 960 s of the second half.
    events = read([event(second, period="2H") for second in (890, 905, 910, 950, 955, 980)])
    assert labels_of(events, [(61, 8, 9)]).labels == (Label(2, 930_000, "substitution-in"),)


def test_the_part_of_a_pause_outside_the_minute_does_not_move_the_substitution(
    event: Event, read: Read
) -> None:
    events = read([event(second) for second in (0, 560, 640, 700)])
    # Minute 11 is 600 to 660 s; of the pause, 600 to 640 s lie in it.
    assert labels_of(events, [(11, 8, 9)]).labels == (Label(1, 620_000, "substitution-in"),)


def test_a_pause_between_last_and_first_touch_of_the_players_goes_before_a_longer_one(
    event: Event, read: Read
) -> None:
    out, come = 9, 8
    events = read(
        [event(600), event(630), event(635, player=out), event(650), event(655, player=come), event(700)]
    )
    assert labels_of(events, [(11, come, out)]).labels[0].position_ms == 642_500


def test_players_that_fit_no_pause_leave_the_longest(event: Event, read: Read) -> None:
    out, come = 9, 8
    seen_too_late = event(100, player=out, period="2H")
    seen_too_early = event(10, player=come)
    events = read([seen_too_early, event(600), event(630), event(640), event(700), seen_too_late])
    assert labels_of(events, [(11, 1, out)]).labels[0].position_ms == 650_000
    assert labels_of(events, [(11, come, 2)]).labels[0].position_ms == 650_000


def test_a_substitution_at_half_time_is_dropped_and_counted(event: Event, read: Read) -> None:
    found = labels_of(read([event(0), event(2800)]), [(46, 8, 9)])
    assert found.labels == ()
    assert found.dropped == {"substitutions at half-time": 1}


def test_a_substitution_in_extra_time_is_dropped_and_counted(event: Event, read: Read) -> None:
    found = labels_of(read([event(0, period="2H"), event(2880, period="2H")]), [(105, 8, 9)])
    assert found.labels == ()
    assert found.dropped == {"substitutions in no pause of the two halves": 1}


def test_two_players_exchanged_in_one_pause_are_one_action(event: Event, read: Read) -> None:
    found = labels_of(read([event(590), event(670)]), [(11, 8, 9), (11, 18, 19)])
    assert len(found.labels) == 1
    assert found.dropped == {"substitutions at the same moment as another": 1}


def test_a_match_without_anything_has_no_labels(event: Event, read: Read) -> None:
    assert labels_of(read([event(5)])) == MatchLabels(labels=(), dropped=labels_of(read([event(5)])).dropped)


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 3000, width=32), min_size=2, max_size=40),
    st.integers(1, 60).filter(lambda minute: minute != 46),
)
def test_a_substitution_always_lies_in_its_minute_and_between_two_events(
    event: Event, read: Read, seconds: list[float], minute: int
) -> None:
    half = 1 if minute <= 45 else 2
    events = read([event(second, period=f"{half}H") for second in seconds])
    start_ms = 60_000 * (minute - 1 - 45 * (half - 1))
    found = labels_of(events, [(minute, 8, 9)])
    for label in found.labels:
        assert label.half == half
        assert start_ms <= label.position_ms <= start_ms + 60_000
        assert min(seconds) - 0.001 <= label.position_ms / 1000 <= max(seconds) + 0.001
    assert len(found.labels) + sum(found.dropped.values()) == 1
    inside = np.asarray(seconds) * 1000
    if inside.min() <= start_ms and inside.max() >= start_ms + 60_000:
        assert found.labels

"""Nothing that gives a label away may reach the features."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.data.wyscout.events import MatchEvents
from model.data.wyscout.features import match_features
from model.data.wyscout.vocabulary import CARD_FOULS

Record = dict[str, Any]
Event = Callable[..., Record]
Read = Callable[[list[Record]], MatchEvents]

LEAKING_TAGS = [101, 102, 201, 301, 302, 2101, *range(1201, 1224), 1701, 1702, 1703]
PLACE = st.fixed_dictionaries({"x": st.integers(0, 100), "y": st.integers(0, 100)})
SHOTS = [("Shot", "Shot"), ("Free Kick", "Free kick shot"), ("Free Kick", "Penalty")]
SAVES = [("Save attempt", "Reflexes"), ("Save attempt", "Save attempt")]
FOULS = [("Foul", "Foul"), ("Foul", "Hand foul")]
STOPS = [("Interruption", "Ball out of the field"), ("Interruption", "Whistle")]
OWN_GOALS = [("Others on the ball", "Touch"), ("Others on the ball", "Clearance"), ("Pass", "Head pass")]
PLAY = [("Pass", "Simple pass"), ("Duel", "Air duel"), ("Offside", ""), ("Free Kick", "Corner")]
TAGS = st.lists(st.sampled_from([*LEAKING_TAGS, 1801, 1802, 703, 1901]), max_size=4)


def bytes_of(events: MatchEvents) -> list[bytes]:
    return [half.tobytes() for half in match_features(events, home=1)]


@st.composite
def play(draw: st.DrawFn, event: Event) -> list[Record]:
    """A stretch of play that starts and ends with a pass."""
    kinds = [*SHOTS, *SAVES, *FOULS, *STOPS, *OWN_GOALS, *PLAY]
    records = [event(0.0), event(100.0)]
    for _ in range(draw(st.integers(1, 12))):
        kind, sub = draw(st.sampled_from(kinds))
        records.append(
            event(draw(st.floats(0, 99)), kind, sub, tags=draw(TAGS), team=draw(st.integers(1, 2)))
            | {"positions": draw(st.lists(PLACE, min_size=1, max_size=2))}
        )
    return sorted(records, key=lambda record: float(record["eventSec"]))


def with_other_labels(draw: st.DrawFn, record: Record) -> Record:
    """The same event had it, or had it not, been a goal, a card or an assist."""
    kind = (record["eventName"], record["subEventName"])
    kept = [tag for tag in record["tags"] if tag["id"] not in LEAKING_TAGS]
    leaking = draw(st.lists(st.sampled_from(LEAKING_TAGS), max_size=4))
    places = record["positions"]
    if kind in [*SHOTS, *SAVES]:
        kept = [tag for tag in kept if tag["id"] not in (1801, 1802)]
        leaking += draw(st.lists(st.sampled_from([1801, 1802]), max_size=2))
    if kind in [*SHOTS, *FOULS, *STOPS, *OWN_GOALS]:
        places = [places[0], *draw(st.lists(PLACE, max_size=1))]
    if kind in SAVES:
        kind = draw(st.sampled_from(SAVES))
        places = draw(st.lists(PLACE, max_size=2))
    if kind in FOULS:
        kind = draw(st.sampled_from(FOULS))
    return record | {
        "eventName": kind[0],
        "subEventName": kind[1],
        "tags": [*kept, *({"id": tag} for tag in leaking)],
        "positions": places,
    }


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_other_labels_leave_the_features_byte_for_byte_the_same(
    event: Event, read: Read, data: st.DataObject
) -> None:
    original = data.draw(play(event))
    changed = [data.draw(st.composite(with_other_labels)(record)) for record in original]
    assert bytes_of(read(changed)) == bytes_of(read(original))


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_fouls_that_stand_for_a_card_are_as_if_they_had_not_been(
    event: Event, read: Read, data: st.DataObject
) -> None:
    original = data.draw(play(event))
    fouls = [
        event(
            data.draw(st.floats(0, 99)),
            "Foul",
            data.draw(st.sampled_from(CARD_FOULS)),
            tags=[1702],
            team=2,
            player=77,
        )
        for _ in range(data.draw(st.integers(1, 4)))
    ]
    assert bytes_of(read([*original, *fouls])) == bytes_of(read(original))


@pytest.mark.parametrize("corner", [(0, 0), (100, 100)])
@pytest.mark.parametrize("kind", [("Pass", "Cross"), ("Duel", "Air duel"), ("Pass", "Simple pass")])
def test_a_placeholder_end_is_as_if_there_were_none(
    event: Event, read: Read, kind: tuple[str, str], corner: tuple[int, int]
) -> None:
    assert bytes_of(read([event(5.0, *kind, to=corner)])) == bytes_of(read([event(5.0, *kind, to=None)]))


@pytest.mark.parametrize(
    "change",
    [
        {"tags": [{"id": 1801}]},
        {"tags": [{"id": 901}]},
        {"subEventName": "Smart pass"},
        {"teamId": 2},
        {"positions": [{"x": 40, "y": 31}, {"x": 60, "y": 70}]},
        {"positions": [{"x": 40, "y": 30}, {"x": 61, "y": 70}]},
        {"eventSec": 6.0},
        {"playerId": 0},
    ],
)
def test_what_says_nothing_about_labels_does_reach_the_features(
    event: Event, read: Read, change: Record
) -> None:
    plain = [event(5.0), event(20.0, player=0)]
    changed = [plain[0] | change, plain[1]]
    assert bytes_of(read(changed)) != bytes_of(read(plain))

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wyscout_files import all_events

from model.data.wyscout.events import NO_CARD, EventReader, MatchEvents
from model.data.wyscout.files import DataFile
from model.errors import DataError

Event = Callable[..., dict[str, Any]]
Read = Callable[[list[dict[str, Any]]], MatchEvents]


def read_all(path: Path, records: list[Any]) -> list[MatchEvents]:
    path.write_text(json.dumps(records))
    return all_events(DataFile(path=path))


def test_matches_come_one_by_one_with_both_halves(tmp_path: Path, event: Event) -> None:
    records = [event(3.0, match=m, period=p) for m in (5, 4) for p in ("1H", "2H")]
    matches = read_all(tmp_path / "events.json", records)
    assert [match.match_id for match in matches] == [5, 4]
    assert all(half.seconds.tolist() == [3.0] for match in matches for half in match.halves)


def test_events_of_a_half_are_in_the_order_of_time(event: Event, read: Read) -> None:
    half = read([event(9.0, player=1), event(2.0, player=2), event(5.0, player=3)]).halves[0]
    assert half.players.tolist() == [2, 3, 1]


def test_extra_time_and_shoot_outs_are_left_out_and_counted(event: Event, read: Read) -> None:
    match = read([event(1.0), event(1.0, period="E1"), event(2.0, period="E2"), event(3.0, period="P")])
    assert match.outside == 3
    assert [len(half.seconds) for half in match.halves] == [1, 1]


def test_a_goal_is_a_shot_or_free_kick_with_the_goal_tag_or_an_own_goal(event: Event, read: Read) -> None:
    half = read(
        [
            event(1.0, "Shot", "Shot", tags=[101, 1801]),
            event(2.0, "Free Kick", "Penalty", tags=[101]),
            event(3.0, "Others on the ball", "Touch", tags=[102]),
            event(4.0, "Shot", "Shot", tags=[1802]),
        ]
    ).halves[0]
    assert half.goals.tolist() == [True, True, True, False]


def test_a_save_attempt_after_a_goal_is_not_a_second_goal(event: Event, read: Read) -> None:
    half = read(
        [event(1.0, "Shot", "Shot", tags=[101]), event(3.0, "Save attempt", "Reflexes", tags=[101])]
    ).halves[0]
    assert half.goals.sum() == 1


def test_the_first_card_of_an_event_counts(event: Event, read: Read) -> None:
    half = read(
        [event(float(i), "Foul", "Foul", tags=tags) for i, tags in enumerate([[1703, 1702], [1701], []])]
    ).halves[0]
    assert half.cards.tolist() == [2, 1, NO_CARD]


def test_a_missing_end_is_not_a_place(event: Event, read: Read) -> None:
    half = read([event(1.0, to=None), event(2.0, at=(60, 101), to=(0, 0))]).halves[0]
    assert np.isnan(half.ends[0]).all()
    assert half.starts[1].tolist() == [60, 100]
    assert half.ends[1].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eventSec": "soon"}, "eventSec"),
        ({"eventSec": float("nan")}, "NaN is not a number"),
        ({"eventSec": True}, "eventSec"),
        ({"eventSec": -1}, "eventSec"),
        ({"eventSec": 1e12}, "eventSec"),
        ({"eventName": "Juggling"}, "Juggling"),
        ({"eventName": ["Pass"]}, "unknown event"),
        ({"subEventName": "Bicycle pass"}, "Bicycle pass"),
        ({"matchId": "x"}, "matchId"),
        ({"matchPeriod": []}, "unknown period"),
        ({"matchPeriod": "3H"}, "unknown period '3H'"),
        ({"playerId": -3}, "playerId"),
        ({"teamId": 1 << 70}, "teamId"),
        ({"positions": [{"x": 500, "y": 0}]}, "positions"),
        ({"positions": [{"x": float("nan"), "y": 0}]}, "NaN is not a number"),
        ({"positions": [{"x": 10**400, "y": 0}]}, "positions"),
        ({"positions": [{"x": "50", "y": 0}]}, "positions"),
        ({"positions": [{"y": 0}]}, "x"),
        ({"positions": [7]}, "positions', got 7"),
        ({"positions": None}, "expected lists"),
        ({"tags": [{"id": [1]}]}, "expected a whole number as the id of a tag, got [1]"),
        ({"tags": [{"id": "a" * 3000}]}, "as the id of a tag, got 'aaa"),
        ({"tags": [{"id": True}]}, "as the id of a tag, got True"),
        ({"tags": 5}, "expected lists"),
    ],
)
def test_a_malformed_event_is_an_error_that_names_file_event_and_fault(
    tmp_path: Path, event: Event, change: dict[str, Any], message: str
) -> None:
    records = [event(1.0), event(2.0) | change, event(3.0)]
    with pytest.raises(DataError) as caught:
        read_all(tmp_path / "events_Cup.json", records)
    (problem,) = caught.value.problems
    assert problem.file.endswith("events_Cup.json")
    assert problem.place == "event 1"
    assert message in problem.message and len(problem.message) < 200


def test_bad_events_are_all_reported_and_hide_no_other_match(tmp_path: Path, event: Event) -> None:
    bad = ({"eventSec": "soon"}, {"playerId": -3}, {"matchId": "x"})
    records = [event(1.0, match=m, period=p) for m in (1, 2) for p in ("1H", "2H")]
    records[1:1] = [event(1.0, match=1) | change for change in bad]
    (tmp_path / "events.json").write_text(json.dumps(records))
    reader = EventReader(DataFile(path=tmp_path / "events.json"))
    assert [found.match_id for found in reader.matches()] == [1, 2]
    assert [problem.place for problem in reader.problems] == ["event 1", "event 2", "event 3"]
    assert reader.incomplete == {1, None}


def test_half_whose_only_event_is_bad_is_not_reported_as_missing(tmp_path: Path, event: Event) -> None:
    records = [event(1.0, match=1, period="1H"), event(1.0, match=1, period="2H") | {"playerId": -3}]
    with pytest.raises(DataError) as caught:
        read_all(tmp_path / "events.json", records)
    assert [problem.place for problem in caught.value.problems] == ["event 1"]


@pytest.mark.parametrize(
    "key", ["eventName", "subEventName", "tags", "positions", "teamId", "eventSec", "matchId"]
)
def test_an_event_that_lacks_a_key_is_an_error(tmp_path: Path, event: Event, key: str) -> None:
    record = event(1.0)
    del record[key]
    with pytest.raises(DataError, match=key):
        read_all(tmp_path / "events.json", [record])


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"a":', "[[", '["pass"]'])
def test_a_file_that_is_no_list_of_events_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "events.json").write_text(text)
    with pytest.raises(DataError):
        all_events(DataFile(path=tmp_path / "events.json"))


def test_a_match_in_two_places_is_an_error(tmp_path: Path, event: Event) -> None:
    records = [event(1.0, match=m, period=p) for m in (1, 2, 1) for p in ("1H", "2H")]
    with pytest.raises(DataError, match="match 1: the events of this match are not contiguous"):
        read_all(tmp_path / "events.json", records)


def test_a_match_without_second_half_is_an_error(tmp_path: Path, event: Event) -> None:
    with pytest.raises(DataError, match="no event in half 2"):
        read_all(tmp_path / "events.json", [event(1.0)])

"""Read the timed events of a match as columns."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model.data.wyscout.files import DataFile
from model.data.wyscout.json_stream import read_elements
from model.data.wyscout.vocabulary import CARDS, EVENT_TYPES, GOAL, NEUTRAL_TAGS, OWN_GOAL, SUB_EVENTS
from model.documents import is_number
from model.errors import Problem

NO_SUB_EVENT = -1
NO_CARD = -1
_HALVES = {"1H": 1, "2H": 2, "E1": 0, "E2": 0, "P": 0}
"""Period -> half; 0 for extra time and penalty shoot-outs."""
_LONGEST_HALF_S = 7200.0
_TYPES = {name: index for index, name in enumerate(EVENT_TYPES)}
_SUBS = {name: index for index, name in enumerate(SUB_EVENTS)} | {"": NO_SUB_EVENT}
_TAG_BITS = {tag: 1 << bit for bit, tag in enumerate(NEUTRAL_TAGS)}
_CARD_INDEX = {tag: index for index, tag in enumerate(CARDS)}
_END = object()
_UNKNOWN_PLACE = (float("nan"), float("nan"))


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfEvents:
    """Events of one half in order of time; every array has one row per event."""

    seconds: npt.NDArray[np.float64]
    """Seconds since the start of the half."""
    types: npt.NDArray[np.int64]
    """Index into ``EVENT_TYPES``."""
    sub_events: npt.NDArray[np.int64]
    """Index into ``SUB_EVENTS`` or ``NO_SUB_EVENT``."""
    tags: npt.NDArray[np.int64]
    """Bit mask: bit k is set if the event has the k-th of ``NEUTRAL_TAGS``."""
    goals: npt.NDArray[np.bool_]
    """True if a goal is scored, including own goals."""
    cards: npt.NDArray[np.int64]
    """Index into ``CARDS`` or ``NO_CARD``."""
    teams: npt.NDArray[np.int64]
    players: npt.NDArray[np.int64]
    """Id of the player; 0 if unknown."""
    starts: npt.NDArray[np.float64]
    """(events, 2): x and y of the start, 0 to 100 or NaN, as recorded: the team attacks towards x = 100."""
    ends: npt.NDArray[np.float64]
    """(events, 2): x and y of the end, as for ``starts``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchEvents:
    """Events of one match."""

    match_id: int
    halves: tuple[HalfEvents, HalfEvents]
    outside: int
    """Number of events in extra time and penalty shoot-outs, which are omitted."""


class _Row(NamedTuple):
    """One event; the fields after ``half`` are those of ``HalfEvents``."""

    match_id: int
    half: int
    seconds: float
    types: int
    sub_events: int
    tags: int
    goals: bool
    cards: int
    teams: int
    players: int
    starts: tuple[float, float]
    ends: tuple[float, float]


class EventReader:
    """Reader of the events of a competition, one match at a time; memory holds one match.

    A bad event hides no other: it is noted in ``problems`` and left out.
    """

    def __init__(self, file: DataFile) -> None:
        """Prepare to read ``file``."""
        self._file = file
        self.problems: list[Problem] = []
        """Faults found so far: bad events, and matches that are not whole."""
        self.incomplete: set[int | None] = set()
        """Matches with bad events; None among them for events of unknown matches."""

    def matches(self) -> Iterator[MatchEvents]:
        """Yield the events of every match that is whole."""
        seen: set[int] = set()
        for match_id, rows in itertools.groupby(self._rows(), key=lambda row: row.match_id):
            by_half: dict[int, list[_Row]] = {0: [], 1: [], 2: []}
            for row in rows:
                by_half[row.half].append(row)
            fault = None
            if match_id in seen:
                fault = "the events of this match are not contiguous in the file"
            elif missing := [half for half in (1, 2) if not by_half[half]]:
                fault = f"the match has no event in half {missing[0]}"
            seen.add(match_id)
            if fault is None:
                halves = (_columns(by_half[1]), _columns(by_half[2]))
                yield MatchEvents(match_id=match_id, halves=halves, outside=len(by_half[0]))
            elif not self.incomplete & {match_id, None}:
                self._note(f"match {match_id}", fault)
            self.incomplete |= set() if fault is None else {match_id}

    def _rows(self) -> Iterator[_Row]:
        elements = read_elements(self._file.chunks())
        for index in itertools.count():
            try:
                event = next(elements, _END)
            except (ValueError, RecursionError) as error:
                self._note(f"event {index}", str(error))
                self.incomplete.add(None)  # nothing behind a fault of the syntax can be read
                return
            if event is _END:
                return
            try:
                row = _row(event)
            except (KeyError, TypeError, ValueError) as error:
                message = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
                self._note(f"event {index}", message)
                self.incomplete.add(_match_of(event))
                continue
            yield row

    def _note(self, place: str, message: str) -> None:
        self.problems.append(Problem(str(self._file), place, message))


def _match_of(event: Any) -> int | None:
    """Return the match of a bad event, or None if it does not say."""
    try:
        return identifier(event, "matchId")
    except (KeyError, TypeError, ValueError):
        return None


def _row(event: Any) -> _Row:
    if not isinstance(event, dict):
        raise ValueError(f"expected an event, got {event!r:.60}")
    kind = event["eventName"]
    if not (isinstance(event["tags"], list) and isinstance(event["positions"], list)):
        raise ValueError("expected lists under 'tags' and 'positions'")
    tags = [_tag(tag["id"]) for tag in event["tags"]]
    places = event["positions"]
    return _Row(
        match_id=identifier(event, "matchId"),
        half=_index(_HALVES, event["matchPeriod"], "period"),
        seconds=_second(event["eventSec"]),
        types=_index(_TYPES, kind, "event"),
        sub_events=_index(_SUBS, event["subEventName"], "sub-event"),
        tags=sum(_TAG_BITS.get(tag, 0) for tag in set(tags)),
        goals=_is_goal(kind, tags),
        cards=next((_CARD_INDEX[tag] for tag in tags if tag in _CARD_INDEX), NO_CARD),
        teams=identifier(event, "teamId"),
        players=identifier(event, "playerId"),
        starts=_place(places[0]) if places else _UNKNOWN_PLACE,
        ends=_place(places[1]) if len(places) > 1 else _UNKNOWN_PLACE,
    )


def identifier(record: Mapping[str, Any], key: str) -> int:
    """Return the Wyscout id under ``key``.

    Raises:
        ValueError: The value is not an integer of at least 0.
        KeyError: The key is missing.
    """
    value = record[key]
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise ValueError(f"expected an id under {key!r}, got {value!r:.60}")
    return value


def _second(value: object) -> float:
    if not is_number(value) or not 0 <= value <= _LONGEST_HALF_S:
        raise ValueError(f"expected 0 to {_LONGEST_HALF_S:.0f} s under 'eventSec', got {value!r:.60}")
    return float(value)


def _index(known: Mapping[str, int], name: object, what: str) -> int:
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"unknown {what} {name!r:.60}")
    return known[name]


def _tag(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"expected a whole number as the id of a tag, got {value!r:.60}")


def _is_goal(kind: str, tags: Sequence[int]) -> bool:
    # A goalkeeper's save attempt about 2 s later has the goal tag too: it is not a second goal.
    return (GOAL in tags and kind in ("Shot", "Free Kick")) or OWN_GOAL in tags


def _place(place: object) -> tuple[float, float]:
    if not isinstance(place, dict):
        raise ValueError(f"expected x and y under 'positions', got {place!r:.60}")
    return _coordinate(place["x"]), _coordinate(place["y"])


def _coordinate(value: object) -> float:
    # A few events lie just outside the pitch (101); anything else is no coordinate.
    if not is_number(value) or not -5 <= value <= 105:
        raise ValueError(f"expected x and y from 0 to 100 under 'positions', got {value!r:.60}")
    return min(max(float(value), 0.0), 100.0)


def _columns(rows: Sequence[_Row]) -> HalfEvents:
    order = sorted(rows, key=lambda row: row.seconds)
    columns = dict(zip(_Row._fields, zip(*order, strict=True), strict=True))
    return HalfEvents(
        seconds=np.array(columns["seconds"], dtype=np.float64),
        types=np.array(columns["types"], dtype=np.int64),
        sub_events=np.array(columns["sub_events"], dtype=np.int64),
        tags=np.array(columns["tags"], dtype=np.int64),
        goals=np.array(columns["goals"], dtype=np.bool_),
        cards=np.array(columns["cards"], dtype=np.int64),
        teams=np.array(columns["teams"], dtype=np.int64),
        players=np.array(columns["players"], dtype=np.int64),
        starts=np.array(columns["starts"], dtype=np.float64),
        ends=np.array(columns["ends"], dtype=np.float64),
    )

"""Remove label leakage from events: everything that reveals a label is removed here, and only here.

The list comes from counting how often a label occurs together with a value:

- tags of goals, cards, assists, key passes, chances, blocked shots and goal zones (``HalfEvents.tags`` lacks
  them);
- accurate or not, on shots, saves, penalties and shot free kicks (a save that is not accurate is a goal);
- sub-types and places of saves; ends of shots, fouls and interruptions;
- fouls that are rarely logged without a card, and the kind of all other fouls;
- (0, 0) and (100, 100), which stand for "no position". An own goal always ends there, and a touch, a
  clearance or a header rarely does, so the ends of these events are not used at all.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.data.wyscout.events import NO_SUB_EVENT, HalfEvents
from model.data.wyscout.vocabulary import (
    ACCURATE,
    CARD_FOULS,
    EVENT_TYPES,
    NEUTRAL_TAGS,
    NOT_ACCURATE,
    PLAIN_SUB_EVENTS,
    SUB_EVENTS,
)

_SHOTS_OF_FREE_KICKS = ("Free kick shot", "Penalty")
_OWN_GOALS = ("Touch", "Clearance", "Head pass")
_ACCURACY = sum(1 << list(NEUTRAL_TAGS).index(tag) for tag in (ACCURATE, NOT_ACCURATE))


@dataclass(frozen=True, slots=True, kw_only=True)
class NeutralEvents:
    """Events of one half without label leakage; columns as in ``HalfEvents``."""

    seconds: npt.NDArray[np.float64]
    types: npt.NDArray[np.int64]
    sub_events: npt.NDArray[np.int64]
    """Index into ``PLAIN_SUB_EVENTS`` or ``NO_SUB_EVENT``."""
    tags: npt.NDArray[np.int64]
    home: npt.NDArray[np.bool_]
    """True if the event belongs to the home team."""
    players: npt.NDArray[np.int64]
    starts: npt.NDArray[np.float64]
    """(events, 2): x and y from -1 to 1, the home team attacks towards x = 1; NaN if unknown."""
    ends: npt.NDArray[np.float64]


def neutral_events(events: HalfEvents, *, home: int) -> NeutralEvents:
    """Remove everything that reveals labels, and rotate all positions to one direction of attack.

    Args:
        events: Events of one half as recorded.
        home: Id of the home team.
    """
    kept = ~_has_sub_event(events.sub_events, CARD_FOULS)
    types, subs = events.types[kept], events.sub_events[kept]
    is_home = events.teams[kept] == home
    shots = _has_type(types, "Shot") | _has_sub_event(subs, _SHOTS_OF_FREE_KICKS)
    saves = _has_type(types, "Save attempt")
    stops = _has_type(types, "Foul", "Interruption")
    starts, ends = events.starts[kept], events.ends[kept]
    # The corner flag is where a corner really starts.
    no_start = saves | (_is_placeholder(starts) & ~_has_sub_event(subs, ("Corner",)))
    no_end = shots | saves | stops | _has_sub_event(subs, _OWN_GOALS) | _is_placeholder(ends)
    return NeutralEvents(
        seconds=events.seconds[kept],
        types=types,
        sub_events=np.where(subs < len(PLAIN_SUB_EVENTS), subs, NO_SUB_EVENT),
        tags=np.where(shots | saves, events.tags[kept] & ~_ACCURACY, events.tags[kept]),
        home=is_home,
        players=events.players[kept],
        starts=_turned(starts, is_home, unknown=no_start),
        ends=_turned(ends, is_home, unknown=no_end),
    )


def _has_type(types: npt.NDArray[np.int64], *names: str) -> npt.NDArray[np.bool_]:
    return np.isin(types, [EVENT_TYPES.index(name) for name in names])


def _has_sub_event(subs: npt.NDArray[np.int64], names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    return np.isin(subs, [SUB_EVENTS.index(name) for name in names])


def _is_placeholder(places: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    is_placeholder: npt.NDArray[np.bool_] = (places == 0).all(axis=1) | (places == 100).all(axis=1)
    return is_placeholder


def _turned(
    places: npt.NDArray[np.float64], home: npt.NDArray[np.bool_], *, unknown: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    centred = places / 50.0 - 1.0
    turned = np.where(home[:, None], centred, -centred)
    return np.where(unknown[:, None], np.nan, turned)

"""Labels of a match: goals and cards from tags, substitutions from pauses in play.

Substitutions are weak labels: the data gives only their minute, and the label is the middle of the most
plausible pause in that minute. Its error is about 12 to 25 s.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from model.data.wyscout.events import NO_CARD, HalfEvents, MatchEvents
from model.data.wyscout.matches import Match, Substitution
from model.data.wyscout.vocabulary import CARDS
from model.timeline import annotated

GOAL_LABEL = "soccer-ball"
SUBSTITUTION_LABEL = "substitution-in"
_CARD_LABELS = tuple(CARDS.values())
_HALF_MINUTES = 45
_HALF_TIME_MINUTE = 46


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """One action that can be spotted."""

    half: int
    position_ms: int
    """Milliseconds since the start of the half."""
    name: str

    def annotation(self) -> dict[str, str]:
        """Return the label as an entry of a label file."""
        return {**annotated(self.half, self.position_ms, self.name), "visibility": "visible"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchLabels:
    """Labels of one match."""

    labels: tuple[Label, ...]
    """Labels in order of time."""
    dropped: Counter[str]
    """Reason -> number of omitted substitutions."""


def match_labels(match: Match, events: MatchEvents) -> MatchLabels:
    """Determine the goals, cards and substitutions of one match."""
    labels: list[Label] = []
    for half, of_half in enumerate(events.halves, start=1):
        labels += _goals_and_cards(half, of_half)
    dropped: Counter[str] = Counter()
    moments: set[Label] = set()
    for substitution in match.substitutions:
        if substitution.minute == _HALF_TIME_MINUTE:
            dropped["substitutions at half-time"] += 1
        elif (moment := _moment(substitution, events)) is None:
            dropped["substitutions in no pause of the two halves"] += 1
        elif moment in moments:
            # Several players are exchanged in one pause: that is one action.
            dropped["substitutions at the same moment as another"] += 1
        else:
            moments.add(moment)
    return MatchLabels(labels=tuple(sorted([*labels, *moments])), dropped=dropped)


def _goals_and_cards(half: int, events: HalfEvents) -> Iterator[Label]:
    for index in np.flatnonzero(events.goals):
        yield Label(half, _milliseconds(events.seconds[index]), GOAL_LABEL)
    for index in np.flatnonzero(events.cards != NO_CARD):
        yield Label(half, _milliseconds(events.seconds[index]), _CARD_LABELS[events.cards[index]])


def _moment(substitution: Substitution, events: MatchEvents) -> Label | None:
    """The middle of the part of the longest pause that lies in the minute of a substitution.

    Pauses between the last touch of the player who leaves and the first touch of the one who comes go first.
    """
    half = 1 if substitution.minute <= _HALF_MINUTES else 2
    seconds = events.halves[half - 1].seconds
    start_s = 60.0 * (substitution.minute - 1 - _HALF_MINUTES * (half - 1))
    end_s = start_s + 60.0
    pauses = (seconds[:-1] < end_s) & (seconds[1:] > start_s)
    if not pauses.any():
        return None
    last_touch_s, first_touch_s = _touches(substitution, events, half)
    plausible = pauses & (seconds[:-1] >= last_touch_s) & (seconds[1:] <= first_touch_s)
    longest = int(np.argmax(np.where(plausible if plausible.any() else pauses, np.diff(seconds), -1.0)))
    middle_s = (max(seconds[longest], start_s) + min(seconds[longest + 1], end_s)) / 2
    return Label(half, _milliseconds(middle_s), SUBSTITUTION_LABEL)


def _touches(substitution: Substitution, events: MatchEvents, half: int) -> tuple[float, float]:
    """Last touch of the player who leaves and first touch of the one who comes, in seconds of ``half``."""
    here = events.halves[half - 1]
    leaves = here.seconds[here.players == substitution.player_out]
    comes = here.seconds[here.players == substitution.player_in]
    last_s = float(leaves.max(initial=-np.inf))
    first_s = float(comes.min(initial=np.inf))
    if half == 1 and substitution.player_out in events.halves[1].players:
        last_s = np.inf
    if half == 2 and substitution.player_in in events.halves[0].players:
        first_s = -np.inf
    return last_s, first_s


def _milliseconds(seconds: float) -> int:
    return round(1000 * float(seconds))

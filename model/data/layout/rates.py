"""Frame rates of feature files: those of published stems, and checks of an assumed rate."""

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from model.timeline import FrameRate

LATE_S = 60.0
"""Largest delay, in seconds, of an action past the last frame that still counts as on it."""
_LEAST_LATE_S, _LATE_SHARE = 2.0, 0.1
"""The same for a clip, as a share of the time of its last action, and at least."""
LONGEST_HALF_S = 70 * 60.0
"""Half of a game that lasts longer is unusual: 45 minutes, added time and some margin."""
_USUAL_HALF_S = 47 * 60.0
_TAIL_S = 10 * 60.0
"""Shortest time after the last action of a half that is conspicuous."""
_TAIL_BEGINS = 0.8
"""Largest part of a half before its last action with which the time after it is conspicuous."""
_CHANCE = 1e-3
"""Largest probability, with actions at random times, of tails in all halves that are no chance."""
_FAR_LONGER = 1.4
"""Length of a half, in those of the same part of other games, that is conspicuous."""
_ALIKE = 1.2
"""Largest ratio, either way, of lengths that are alike: of halves and their median, or a usual half."""
_USUAL_RATES = (0.5, 1.0, 2.0, 5.0, 10.0, 12.5, 15.0, 25.0, 30.0, 50.0)
_IN_NAME = re.compile(r"(?<![0-9.])([0-9]{1,3}(?:\.[0-9]{1,3})?)fps", re.IGNORECASE)
# PYPI.md of the SoccerNet package: features without a rate in their name are at 2 frames per second,
# except for the embeddings of Baidu.
_PUBLISHED = {
    "baidu_soccer_embeddings": 1.0,
    **{network + size: 2.0 for network in ("ResNET", "ResNET_TF2", "C3D", "I3D") for size in ("", "_PCA512")},
}


def stated_rate(stem: str) -> FrameRate | None:
    """Return the rate that a stem states, such as ``ResNET_5fps_TF2``."""
    stated = _IN_NAME.search(stem)
    per_second = float(stated[1]) if stated else 0.0
    return FrameRate(per_second) if per_second else None


def published_rate(stem: str) -> FrameRate | None:
    """Return the rate of SoccerNet's published features; features of other data can have the same name."""
    per_second = _PUBLISHED.get(stem)
    return None if per_second is None else FrameRate(per_second)


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfLength:
    """Length of one half in frames, and its actions."""

    name: str
    """Game and number of the half, for messages."""
    number: int
    frames: int
    actions: int
    """Number of actions in the half."""
    last_action_s: float | None
    """Seconds from the start of the half to its last action; None if it has no action."""
    is_whole_game: bool
    """Whether the half is the only one of its game, which is then twice as long."""

    def is_long_at(self, rate: FrameRate) -> bool:
        """Whether the half is unusually long at ``rate``."""
        return rate.to_seconds(self.frames) > LONGEST_HALF_S * (2 if self.is_whole_game else 1)

    def ends_early_at(self, rate: FrameRate) -> bool:
        """Whether the half ends long before its last action at ``rate``."""
        last_s = self.last_action_s
        return last_s is not None and rate.to_seconds(self.frames) < last_s - self.late_s

    @property
    def late_s(self) -> float:
        """Time before its last action, in seconds, at which no half ends: less in short clips."""
        return min(LATE_S, max(_LEAST_LATE_S, _LATE_SHARE * (self.last_action_s or 0.0)))

    def goes_on_at(self, rate: FrameRate) -> bool:
        """Whether the half goes on for long after its last action, or has none, at ``rate``."""
        half_s, last_s = rate.to_seconds(self.frames), self.last_action_s or 0.0
        return half_s - last_s >= _TAIL_S and last_s <= _TAIL_BEGINS * half_s

    def fits(self, rate: FrameRate) -> bool:
        """Whether ``rate`` is plausible for this half."""
        return not self.is_long_at(rate) and not self.ends_early_at(rate)

    def distance_to_usual(self, rate: FrameRate) -> float:
        """Return how far the duration at ``rate`` is from a usual one, as the logarithm of their ratio."""
        usual_s = _USUAL_HALF_S * (2 if self.is_whole_game else 1)
        return abs(math.log(rate.to_seconds(self.frames) / usual_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class RateDoubt:
    """Reason to doubt the frame rate of a data set."""

    text: str
    """Description of what is unusual, with the rate that would fit."""
    ends_early: bool = False
    """Whether halves end before their last action, so that the rate is certainly wrong."""
    is_weak: bool = False
    """Whether halves only go on for long after their last action, which a declared rate explains."""


def rate_doubt(halves: Sequence[HalfLength], rate: FrameRate) -> RateDoubt | None:
    """Return the doubt if most halves are too long or end too early at ``rate`` and another rate fits them.

    The doubt is weak if all halves only go on for long after their last action.

    Args:
        halves: Halves with at least one frame.
        rate: Frame rate that the data set has or that is assumed.
    """
    with_actions = [half for half in halves if half.last_action_s is not None]
    early = [half for half in with_actions if half.ends_early_at(rate)]
    long = [half for half in halves if half.is_long_at(rate)]
    if len(early) > 1 and 2 * len(early) >= len(with_actions):
        fitting = _fitting(early)
        late_s = min(half.late_s for half in early)
        text = _text(early, halves, f"end more than {late_s:.3g} s before their last action", rate, fitting)
        return RateDoubt(text=text, ends_early=True) if fitting else None  # no rate explains it
    if long and 2 * len(long) >= len(halves) and (fitting := _fitting(long)):
        return RateDoubt(text=_text(long, halves, "are longer than 70 minutes", rate, fitting))
    if _all_go_on(with_actions, rate):
        what = f"go on for {_TAIL_S / 60:g} min or more after their last action"
        text = _text(with_actions, halves, what, rate, _up_to(with_actions))
        return RateDoubt(text=text, is_weak=True)
    return None


def far_longer(halves: Sequence[HalfLength], rate: FrameRate) -> str | None:
    """Describe single halves that are far longer at ``rate`` than the same part of other games, or None.

    A half with actions to its end has the rate of the others, however long it is. Where lengths vary, as of
    videos of any kind, they say nothing.
    """
    peers: dict[tuple[int, bool], list[int]] = {}
    for half in halves:
        peers.setdefault((half.number, half.is_whole_game), []).append(half.frames)
    usual = {part: statistics.median_low(frames) for part, frames in peers.items() if _are_alike(frames)}
    longer = [
        half
        for half in halves
        if half.frames >= _FAR_LONGER * usual.get((half.number, half.is_whole_game), math.inf)
        and half.goes_on_at(rate)
    ]
    if not longer:
        return None
    first = longer[0]
    usual_s = rate.to_seconds(usual[first.number, first.is_whole_game])
    last_s = first.last_action_s
    end = "it has no action" if last_s is None else f"its last action is at {last_s / 60:.1f} min"
    return (
        f"{len(longer)} of {len(halves)} halves are far longer than the same part of other games, the first: "
        f"{first.name}, {rate.to_seconds(first.frames) / 60:.1f} min at {rate} "
        f"(median {usual_s / 60:.1f} min; {end}); if these features have another rate, extract them "
        f"again at {rate.per_second:g} per second"
    )


def _are_alike(frames: Sequence[int]) -> bool:
    """Whether at least two thirds of the lengths are near their median."""
    usual = statistics.median_low(frames)
    near = sum(usual / _ALIKE <= each <= usual * _ALIKE for each in frames)
    return 3 * near >= 2 * len(frames)


def _text(
    doubted: Sequence[HalfLength],
    halves: Sequence[HalfLength],
    what: str,
    rate: FrameRate,
    fitting: str | None,
) -> str:
    return (
        f"{len(doubted)} of {len(halves)} halves {what} at {rate} "
        f"(median {_median_min(doubted, rate):.1f} min); {fitting}"
    )


def _median_min(halves: Sequence[HalfLength], rate: FrameRate) -> float:
    return statistics.median(rate.to_seconds(half.frames) for half in halves) / 60


def _all_go_on(halves: Sequence[HalfLength], rate: FrameRate) -> bool:
    """Whether all of ``halves`` go on for long after their last action, which is no chance."""
    if not halves or not all(half.goes_on_at(rate) for half in halves):
        return False
    last = max((half.last_action_s or 0.0) / rate.to_seconds(half.frames) for half in halves)
    # Logarithms, for a power of so many actions is 0.
    return last > 0 and sum(half.actions for half in halves) * math.log(last) < math.log(_CHANCE)


def _with_actions(halves: Sequence[HalfLength], rate: FrameRate) -> list[HalfLength]:
    """Return ``halves`` with actions that last until then at ``rate``; others may be cut off."""
    return [half for half in halves if half.last_action_s is not None and not half.ends_early_at(rate)]


def _fitting(halves: Sequence[HalfLength]) -> str | None:
    """Describe the rate that is plausible for most of ``halves``, or return None if there is none."""
    rate = _fitting_rate(halves)
    if rate is not None:
        return f"{rate.per_second:g} per second would fit (median {_median_min(halves, rate):.1f} min)"
    highest = _highest_rate(halves)
    return _up_to(halves) if highest is not None and _fits_most(halves, highest) else None


def _up_to(halves: Sequence[HalfLength]) -> str:
    highest = _highest_rate(halves)
    assert highest is not None, "a half has an action after its start"
    return (
        f"up to {highest.per_second:.2g} per second would fit (median {_median_min(halves, highest):.1f} min)"
    )


def _highest_rate(halves: Sequence[HalfLength]) -> FrameRate | None:
    """Return the highest rate at which nine tenths of ``halves`` have their actions; None without actions."""
    rates = sorted(half.frames / half.last_action_s for half in halves if half.last_action_s)
    return FrameRate(rates[len(rates) // 10]) if rates else None


def _fits_most(halves: Sequence[HalfLength], rate: FrameRate) -> bool:
    return 10 * sum(half.fits(rate) for half in halves) >= 9 * len(halves)


def _fitting_rate(halves: Sequence[HalfLength]) -> FrameRate | None:
    """Return the usual rate at which ``halves`` last about as long as those of soccer, or None.

    Periods of another sport are shorter. A rate at which all go on for long after their last action makes
    halves of soccer of them.
    """
    plausible = {
        rate: statistics.median(half.distance_to_usual(rate) for half in halves)
        for rate in map(FrameRate, _USUAL_RATES)
        if _fits_most(halves, rate) and not _all_go_on(_with_actions(halves, rate), rate)
    }
    nearest = min(plausible, key=plausible.__getitem__, default=None)
    return nearest if nearest is not None and plausible[nearest] <= math.log(_ALIKE) else None

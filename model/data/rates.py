"""Frame rates of feature files: those of published stems, and checks of an assumed rate."""

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from model.timeline import FrameRate

LATE_S = 60.0
"""Largest delay, in seconds, of an action past the last frame that still counts as on it."""
LONGEST_HALF_S = 70 * 60.0
"""Half of a game that lasts longer is unusual: 45 minutes, added time and some margin."""
_USUAL_HALF_S = 47 * 60.0
_USUAL_RATES = (1.0, 2.0, 5.0, 10.0, 12.5, 15.0, 25.0, 30.0, 50.0)
_IN_NAME = re.compile(r"(?<![0-9.])([0-9]{1,3}(?:\.[0-9]{1,3})?)fps", re.IGNORECASE)
# PYPI.md of the SoccerNet package: features without a rate in their name are at 2 frames per second,
# except for the embeddings of Baidu.
_PUBLISHED = {
    "baidu_soccer_embeddings": 1.0,
    **{network + size: 2.0 for network in ("ResNET", "ResNET_TF2", "C3D", "I3D") for size in ("", "_PCA512")},
}


def known_rate(stem: str) -> FrameRate | None:
    """Return the rate of published features, or the one that a stem states, such as ``ResNET_5fps_TF2``."""
    stated = _IN_NAME.search(stem)
    per_second = _PUBLISHED.get(stem, float(stated[1]) if stated else 0.0)
    return FrameRate(per_second) if per_second else None


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfLength:
    """Length of one half in frames, and the time of its last action."""

    frames: int
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
        return last_s is not None and rate.to_seconds(self.frames) < last_s - LATE_S

    def fits(self, rate: FrameRate) -> bool:
        """Whether ``rate`` is plausible for this half."""
        return not self.is_long_at(rate) and not self.ends_early_at(rate)

    def distance_to_usual(self, rate: FrameRate) -> float:
        """Return how far the duration at ``rate`` is from a usual one, as the logarithm of their ratio."""
        usual_s = _USUAL_HALF_S * (2 if self.is_whole_game else 1)
        return abs(math.log(rate.to_seconds(self.frames) / usual_s))


@dataclass(frozen=True, slots=True)
class RateDoubt:
    """Reason to doubt the frame rate of a data set."""

    text: str
    """Description of what is unusual, with the rate that would fit."""
    ends_early: bool
    """Whether halves end before their last action, so that the rate is certainly wrong."""


def rate_doubt(halves: Sequence[HalfLength], rate: FrameRate) -> RateDoubt | None:
    """Return the doubt if most halves are too long or end too early at ``rate`` and another rate fits them.

    Args:
        halves: Halves with at least one frame.
        rate: Frame rate that the data set has or that is assumed.
    """
    with_actions = [half for half in halves if half.last_action_s is not None]
    early = [half for half in with_actions if half.ends_early_at(rate)]
    long = [half for half in halves if half.is_long_at(rate)]
    if len(early) > 1 and 2 * len(early) >= len(with_actions):
        doubted, what = early, "end more than 60 s before their last action"
    elif long and 2 * len(long) >= len(halves):
        doubted, what = long, "are longer than 70 minutes"
    else:
        return None
    fitting = _fitting_rate(doubted)
    if fitting is None:
        return None  # no rate explains it
    minutes = statistics.median(rate.to_seconds(half.frames) for half in doubted) / 60
    text = (
        f"{len(doubted)} of {len(halves)} halves {what} at {rate.per_second:g} frames per second "
        f"(median {minutes:.1f} min); {fitting.per_second:g} per second would fit (median "
        f"{statistics.median(fitting.to_seconds(half.frames) for half in doubted) / 60:.1f} min)"
    )
    return RateDoubt(text, ends_early=doubted is early)


def _fitting_rate(halves: Sequence[HalfLength]) -> FrameRate | None:
    """Return the usual rate that is plausible for most of ``halves``, the most usual duration first."""
    plausible = [
        rate
        for rate in map(FrameRate, _USUAL_RATES)
        if 10 * sum(half.fits(rate) for half in halves) >= 9 * len(halves)
    ]
    return min(
        plausible,
        key=lambda rate: statistics.median(half.distance_to_usual(rate) for half in halves),
        default=None,
    )

"""Average-mAP of groups of actions: by game time (figure 4), by distance to other actions (figure 5)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.metrics.average_map import LOOSE_TOLERANCES_S, AverageMap
from model.metrics.matching import Matching
from model.metrics.precision_recall import THRESHOLDS, at_least, curve_of, thresholds_reached
from model.spots import Spots, suppress
from model.timeline import FrameRate

HALF_S = 2700.0
"""Duration of a half without stoppage time, in seconds; the clock of the second half starts here."""
GAME_TIME_EDGES_S = (*(300.0 * step for step in range(10)), np.inf)
"""Bins within a half, in seconds: 5 minutes each; the last bin holds everything after minute 45."""
MATCH_EDGES_S = (*(300.0 * step for step in range(19)), np.inf)
"""Bins within a match of one part, in seconds: 5 minutes each; the last holds everything after minute 90."""
VICINITY_EDGES_S = (0.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, np.inf)
"""Bins of the distance to the closest other action, in seconds; the last includes actions without another."""
_FINER = 10.0
_FINEST = 100.0
"""The bins of soccer are divided by this at most."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Group of every action and of every wrong spot of a matching; -1 for none."""

    of_action: npt.NDArray[np.int64]
    of_spot: npt.NDArray[np.int64]
    """Group of a spot that counts for no action; a right spot belongs to the group of its action."""


Grouping = Callable[[Matching], Groups]


@dataclass(frozen=True, slots=True)
class GroupScore:
    """Average-mAP of a group of actions."""

    actions: int
    score: AverageMap
    """Scores of the group; means are over the classes that have actions in it."""


def average_map_by_group(
    spots: Spots,
    actions: npt.NDArray[np.int64],
    grouping: Grouping,
    *,
    groups: int,
    classes: int,
    frame_rate: FrameRate,
    nms_window_s: float | None = None,
    tolerances_s: Sequence[float] = LOOSE_TOLERANCES_S,
) -> list[GroupScore]:
    """Compute the Average-mAP of each group alone; if all actions are in one group, it is ``average_map``.

    Spots are suppressed and matched among all actions, and only then divided into groups, so a right spot
    near the border of a group stays right.

    Args:
        spots: Spots as in ``average_map``.
        actions: (n, 4), as in ``average_map``.
        grouping: Assigns actions and wrong spots to groups.
        groups: Number of groups.
        classes: Number of classes (C).
        frame_rate: Converts tolerances to frames.
        nms_window_s: Width of the suppression in seconds; None: the width of each tolerance.
        tolerances_s: Tolerances in seconds, as full widths.
    """
    precision, number = [], np.zeros((groups, classes), dtype=np.int64)
    for tolerance_frames, matching in matchings(spots, actions, frame_rate, nms_window_s, tolerances_s):
        found, right, number = _counts(matching, grouping(matching), tolerance_frames, (groups, classes))
        each = zip(found, right, number, strict=True)
        precision.append([curve_of(*group).average_precision() for group in each])
    table = np.array(precision).transpose(1, 0, 2)
    return [
        GroupScore(int(count.sum()), AverageMap(tuple(tolerances_s), values, count > 0, count > 0))
        for values, count in zip(table, number, strict=True)
    ]


def matchings(
    spots: Spots,
    actions: npt.NDArray[np.int64],
    frame_rate: FrameRate,
    nms_window_s: float | None,
    tolerances_s: Sequence[float],
) -> Iterator[tuple[float, Matching]]:
    """Yield every tolerance in frames, with the matching of actions and suppressed spots."""
    fixed = (
        None
        if nms_window_s is None
        else Matching(suppress(spots, frame_rate.to_frames(nms_window_s)), actions)
    )
    for tolerance_s in tolerances_s:
        matching = fixed or Matching(suppress(spots, frame_rate.to_frames(tolerance_s)), actions)
        yield tolerance_s * frame_rate.per_second, matching


def _counts(
    matching: Matching, groups: Groups, tolerance_frames: float, shape: tuple[int, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Spots and right spots at every threshold (groups, classes, thresholds), actions (groups, classes)."""
    action = matching.counted_for(tolerance_frames)
    group = np.where(action >= 0, np.append(groups.of_action, -1)[action], groups.of_spot)
    levels = (*shape, len(THRESHOLDS) + 1)
    cell = (
        group * np.prod(levels[1:])
        + matching.spots.class_index * levels[2]
        + thresholds_reached(matching.spots)
    )
    found, right = (at_least(cell[rows], levels) for rows in (group >= 0, (group >= 0) & (action >= 0)))
    grouped = groups.of_action >= 0
    owner = groups.of_action[grouped] * shape[1] + matching.actions.class_index[grouped]
    return found, right, np.bincount(owner, minlength=shape[0] * shape[1]).reshape(shape)


def game_time_edges(halves: int) -> tuple[float, ...]:
    """Return the edges of the bins within one half of games with this number of halves, in seconds."""
    return MATCH_EDGES_S if halves == 1 else GAME_TIME_EDGES_S


def by_game_time(half_numbers: npt.NDArray[np.int64], frame_rate: FrameRate) -> Grouping:
    """Group by bins of game time, those of the second half after those of the first (figure 4).

    If every game has one part, one clock runs over the whole match.

    Args:
        half_numbers: Number of every half, from 1, of every half of the split.
        frame_rate: Converts frames to seconds.
    """
    edges_s = game_time_edges(int(half_numbers.max()))

    def bins(rows: Spots) -> npt.NDArray[np.int64]:
        within = bin_of(rows.frame / frame_rate.per_second, edges_s)
        return (half_numbers[rows.half] - 1) * (len(edges_s) - 1) + within

    return lambda matching: Groups(bins(matching.actions), bins(matching.spots))


def vicinity_edges(actions: npt.NDArray[np.int64], frame_rate: FrameRate) -> tuple[float, ...]:
    """Return the edges of bins of the distance to the closest other action, in seconds.

    They are ``VICINITY_EDGES_S``, or a tenth or a hundredth of them where most actions would be in the first
    bin, as in the rallies of table tennis.

    Args:
        actions: (n, 4), as in ``average_map``.
        frame_rate: Converts frames to seconds.
    """
    apart_s = distance_to_others(actions[:, 0], actions[:, 1]) / frame_rate.per_second
    finer = 1.0
    while finer < _FINEST and 2 * np.sum(apart_s < VICINITY_EDGES_S[1] / finer) > len(apart_s):
        finer *= _FINER
    return tuple(edge / finer for edge in VICINITY_EDGES_S)


def by_vicinity(frame_rate: FrameRate, edges_s: Sequence[float]) -> Grouping:
    """Group by the distance to the closest other action, in bins between ``edges_s`` (figure 5).

    A wrong spot belongs to the group of the closest action of its class and half, or else to no group.
    """

    def groups(matching: Matching) -> Groups:
        actions = matching.actions
        apart_s = distance_to_others(actions.half, actions.frame) / frame_rate.per_second
        of_action = bin_of(apart_s, edges_s)
        return Groups(of_action, np.append(of_action, -1)[matching.closest])

    return groups


def bin_of(values: npt.NDArray[np.floating], edges: Sequence[float]) -> npt.NDArray[np.int64]:
    """Return the index of the bin [edge, next edge) of every value; infinity is in the last bin."""
    return np.minimum(np.searchsorted(edges, values, side="right"), len(edges) - 1) - 1


def distance_to_others(
    halves: npt.NDArray[np.int64], frames: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Compute the frames from every action to the closest other one of its half, of any class; else infinity.

    Args:
        halves: Half of every action, (n,).
        frames: Its frame, (n,).
    """
    order = np.lexsort((frames, halves))
    half, frame = halves[order], frames[order].astype(np.float64)
    gap = np.where(half[1:] == half[:-1], frame[1:] - frame[:-1], np.inf)
    apart = np.empty(len(frame))
    apart[order] = np.minimum(np.append(np.inf, gap), np.append(gap, np.inf))[: len(frame)]
    return apart


def break_actions(
    actions: npt.NDArray[np.int64], half_numbers: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Select the actions of the half-time break: those on the first frame of a half after the first.

    SoccerNet annotates substitutions made in the break there (section 4.1).
    """
    in_break: npt.NDArray[np.bool_] = (half_numbers[actions[:, 0]] > 1) & (actions[:, 1] == 0)
    return in_break

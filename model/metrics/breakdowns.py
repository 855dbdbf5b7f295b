"""Average-mAP of parts of the actions: by game time (figure 4), by distance to other actions (figure 5)."""

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
"""A half without its stoppage time; the clock of the second half starts here."""
GAME_TIME_EDGES_S = (*(300.0 * step for step in range(10)), np.inf)
"""Bins within a half: 5 minutes each, the last is what follows minute 45."""
VICINITY_EDGES_S = (0.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, np.inf)
"""Bins of the distance to the closest other action; the last also takes actions alone in their half."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The group that every action and every wrong spot of a matching belongs to; -1 for none."""

    of_action: npt.NDArray[np.int64]
    of_spot: npt.NDArray[np.int64]
    """Used where the spot counts for no action; a right spot goes with its action."""


Grouping = Callable[[Matching], Groups]


@dataclass(frozen=True, slots=True)
class GroupScore:
    """Average-mAP of a group of actions."""

    actions: int
    score: AverageMap
    """Means are over the classes that have actions in the group."""


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
    """Average-mAP of each group alone; with all actions in one group it is ``average_map``.

    Spots are suppressed and matched among all actions, then both are shared out: a spot near the border of a
    group stays right.

    Args:
        spots: As in ``average_map``, and so is what is not listed here.
        actions: (n, 4).
        grouping: Says which group actions and wrong spots belong to.
        groups: Their number.
        classes: C.
        frame_rate: Converts tolerances to frames.
        nms_window_s: Width of the suppression; None: each tolerance.
        tolerances_s: Full widths.
    """
    precision, number = [], np.zeros((groups, classes), dtype=np.int64)
    for tolerance_frames, matching in matchings(spots, actions, frame_rate, nms_window_s, tolerances_s):
        found, right, number = _counts(matching, grouping(matching), tolerance_frames, (groups, classes))
        each = zip(found, right, number, strict=True)
        precision.append([curve_of(*group).average_precision() for group in each])
    table = np.array(precision).transpose(1, 0, 2)
    return [
        GroupScore(int(count.sum()), AverageMap(tuple(tolerances_s), values, count > 0))
        for values, count in zip(table, number, strict=True)
    ]


def matchings(
    spots: Spots,
    actions: npt.NDArray[np.int64],
    frame_rate: FrameRate,
    nms_window_s: float | None,
    tolerances_s: Sequence[float],
) -> Iterator[tuple[float, Matching]]:
    """Every tolerance in frames, with the spots that its suppression leaves beside the actions."""
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


def by_game_time(half_numbers: npt.NDArray[np.int64], frame_rate: FrameRate) -> Grouping:
    """Group by bins of ``GAME_TIME_EDGES_S``, the second half's after the first's (figure 4).

    Args:
        half_numbers: 1 or 2 for every half of the split.
        frame_rate: Of the frames.
    """

    def bins(rows: Spots) -> npt.NDArray[np.int64]:
        within = bin_of(rows.frame / frame_rate.per_second, GAME_TIME_EDGES_S)
        return (half_numbers[rows.half] - 1) * (len(GAME_TIME_EDGES_S) - 1) + within

    return lambda matching: Groups(bins(matching.actions), bins(matching.spots))


def by_vicinity(frame_rate: FrameRate) -> Grouping:
    """Group by bins of ``VICINITY_EDGES_S`` of the distance to the closest other action (figure 5).

    A wrong spot goes with the closest action of its class and half; without one it belongs to no group.
    """

    def groups(matching: Matching) -> Groups:
        apart_s = distance_to_others(matching.actions) / frame_rate.per_second
        of_action = bin_of(apart_s, VICINITY_EDGES_S)
        return Groups(of_action, np.append(of_action, -1)[matching.closest])

    return groups


def bin_of(values: npt.NDArray[np.floating], edges: Sequence[float]) -> npt.NDArray[np.int64]:
    """Index of the bin [edge, next edge) of every value; infinity is in the last one."""
    return np.minimum(np.searchsorted(edges, values, side="right"), len(edges) - 1) - 1


def distance_to_others(actions: Spots) -> npt.NDArray[np.float64]:
    """Frames to the closest other action of any class in the half; infinite for one that is alone."""
    order = np.lexsort((actions.frame, actions.half))
    half, frame = actions.half[order], actions.frame[order].astype(np.float64)
    gap = np.where(half[1:] == half[:-1], frame[1:] - frame[:-1], np.inf)
    apart = np.empty(len(frame))
    apart[order] = np.minimum(np.append(np.inf, gap), np.append(gap, np.inf))[: len(frame)]
    return apart


def break_actions(
    actions: npt.NDArray[np.int64], half_numbers: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Tell which of ``actions`` happened in the half-time break: those on the first frame of a later half.

    That is where SoccerNet annotates substitutions made in the break (section 4.1).
    """
    in_break: npt.NDArray[np.bool_] = (half_numbers[actions[:, 0]] > 1) & (actions[:, 1] == 0)
    return in_break

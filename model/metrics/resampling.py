"""Bootstrap of Average-mAP over games: the spread of a score if other games had been in the split."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model.metrics.average_map import LOOSE_TOLERANCES_S, mean_over_tolerances
from model.metrics.breakdowns import matchings
from model.metrics.precision_recall import THRESHOLDS, at_least, curve_of, thresholds_reached
from model.spots import Spots
from model.timeline import FrameRate

_DRAWS_AT_ONCE = 50
"""Fits caches with three classes and memory with hundreds."""


def draws_of_games(games: int, draws: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw games with replacement; returns how often each game is in each draw, (draws, games)."""
    drawn: npt.NDArray[np.int64] = random.multinomial(games, np.full(games, 1 / games), size=draws)
    return drawn


def resampled_average_map(
    spots: Spots,
    actions: npt.NDArray[np.int64],
    *,
    game_of_half: npt.NDArray[np.int64],
    draws: npt.NDArray[np.int64],
    classes: int,
    frame_rate: FrameRate,
    nms_window_s: float | None = None,
    tolerances_s: Sequence[float] = LOOSE_TOLERANCES_S,
    only_present: bool = False,
) -> npt.NDArray[np.float64]:
    """Compute the Average-mAP of every draw of games; a draw of every game once gives ``average_map``.

    Suppression and matching stay within a half, so they are computed once; a draw only sums the numbers of
    spots and right spots of its games at every threshold.

    Args:
        spots: Spots as in ``average_map``.
        actions: (n, 4), as in ``average_map``.
        game_of_half: Index of the game that each half belongs to.
        draws: (draws, games): how often each game counts.
        classes: Number of classes (C).
        frame_rate: Converts tolerances to frames.
        nms_window_s: Width of the suppression in seconds; None: the width of each tolerance.
        tolerances_s: Tolerances in seconds, as full widths.
        only_present: True for the mean over the classes that have actions in a draw, not over all classes.

    Returns:
        Average-mAP of every draw (draws,), in [0, 1].
    """
    table = np.empty((len(draws), len(tolerances_s)))
    shape = (draws.shape[1], classes, len(THRESHOLDS) + 1)
    owner = np.ravel_multi_index((game_of_half[actions[:, 0]], actions[:, 2]), shape[:2])
    number = np.bincount(owner, minlength=shape[0] * classes).reshape(shape[:2])
    each = matchings(spots, actions, frame_rate, nms_window_s, tolerances_s)
    for column, (tolerance_frames, matching) in enumerate(each):
        kept = matching.spots
        cell = np.ravel_multi_index(
            (game_of_half[kept.half], kept.class_index, thresholds_reached(kept)), shape
        )
        right = matching.true_positives(tolerance_frames)
        counts = at_least(cell, shape), at_least(cell[right], shape), number
        for first in range(0, len(draws), _DRAWS_AT_ONCE):
            block = slice(first, first + _DRAWS_AT_ONCE)
            table[block, column] = _mean_average_precision(draws[block], *counts)
    mean = np.array([mean_over_tolerances(row) for row in table])
    if not only_present:
        return mean
    # A class without actions counts 0 in the mean over all classes.
    present = (_summed(draws, number) > 0).sum(axis=1)
    scaled: npt.NDArray[np.float64] = mean * classes / np.maximum(present, 1)
    return scaled


def _mean_average_precision(
    draws: npt.NDArray[np.int64],
    found: npt.NDArray[np.int64],
    right: npt.NDArray[np.int64],
    number: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """(draws,): mean over the classes; found and right are (games, classes, thresholds)."""
    # One curve a row, so the classes of all draws are rows of one.
    thresholds = found.shape[2]
    curve = curve_of(
        _summed(draws, found).reshape(-1, thresholds),
        _summed(draws, right).reshape(-1, thresholds),
        _summed(draws, number).reshape(-1),
    )
    mean: npt.NDArray[np.float64] = curve.average_precision().reshape(len(draws), -1).mean(axis=1)
    return mean


def _summed(draws: npt.NDArray[np.int64], count: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(draws, ...): ``count`` (games, ...) summed over the games of each draw."""
    # A product of whole numbers in float64 is exact and far faster than one of integers.
    product = draws.astype(np.float64) @ count.reshape(len(count), -1).astype(np.float64)
    return product.astype(np.int64).reshape(len(draws), *count.shape[1:])

"""Average-mAP of spots (section 4.1): 11-point average precision, averaged over classes and tolerances."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.metrics.matching import Matching
from model.metrics.precision_recall import Curves, precision_recall
from model.spots import Spots, suppress
from model.timeline import FrameRate

LOOSE_TOLERANCES_S = tuple(float(5 * step) for step in range(1, 13))
"""Tolerances from 5 to 60 s, as full widths: a spot may lie half a tolerance before or after its action."""

TIGHT_TOLERANCES_S = (1.0, 2.0, 3.0, 4.0, 5.0)
"""Tolerances of the later SoccerNet challenges, as full widths in seconds."""


@dataclass(frozen=True, slots=True)
class AverageMap:
    """Average precision of a set of spots and its means, all in [0, 1]."""

    tolerances_s: tuple[float, ...]
    average_precision: npt.NDArray[np.float64]
    """(tolerances, classes); 0 for a class without actions, as in the published codes."""
    counted: npt.NDArray[np.bool_]
    """(classes,): True for the classes in the mean."""
    present: npt.NDArray[np.bool_]
    """(classes,): True for the classes that have actions."""

    @property
    def per_tolerance(self) -> tuple[float, ...]:
        """Mean over the classes (mAP) at every tolerance; 0 if no class is counted."""
        return self._means(self.counted)

    @property
    def per_tolerance_present(self) -> tuple[float, ...]:
        """Mean over the classes that have actions, at every tolerance; 0 if no class has any."""
        return self._means(self.present)

    @property
    def average_map(self) -> float:
        """Average-mAP: area under the mAP over the tolerances (trapezoid rule), divided by their range."""
        return mean_over_tolerances(np.array(self.per_tolerance))

    @property
    def average_map_present(self) -> float:
        """Average-mAP over the classes that have actions; 0 if no class has any."""
        return mean_over_tolerances(np.array(self.per_tolerance_present))

    @property
    def per_class(self) -> tuple[float, ...]:
        """Average-AP of every class: area under its AP over the tolerances, divided by their range."""
        return tuple(mean_over_tolerances(column) for column in self.average_precision.T)

    def by_name(self, classes: Sequence[str]) -> dict[str, float]:
        """Return both means, and ``ap/NAME`` of every class that has actions.

        A class without actions has no AP: a 0 would look like a class that the network does not find.
        """
        each = zip(classes, self.per_class, self.present, strict=True)
        return {
            "average_map": self.average_map,
            "average_map_present": self.average_map_present,
            **{f"ap/{name}": value for name, value, present in each if present},
        }

    def _means(self, chosen: npt.NDArray[np.bool_]) -> tuple[float, ...]:
        """Return the mean over the ``chosen`` classes at every tolerance."""
        total = self.average_precision[:, chosen].sum(axis=1)
        return tuple(float(value) for value in total / max(int(chosen.sum()), 1))


def mean_over_tolerances(values: npt.NDArray[np.float64]) -> float:
    """Compute the area under ``values`` (trapezoid rule), divided by the range of the tolerances."""
    if len(values) == 1:
        return float(values[0])
    return float((values[1:] + values[:-1]).sum() / 2 / (len(values) - 1))


@dataclass(frozen=True, slots=True)
class SpottingScore:
    """Scores for all actions, and for visible and unshown actions with the spots that belong to them.

    Classes without actions count as 0 in the means of ``all`` and ``visible``, as in the published codes. The
    mean of ``unshown`` is over the classes that have unshown actions. The SoccerNet package averages over all
    classes and multiplies Average-mAP by 17/13, because 13 of the 17 classes have unshown actions in the test
    split of SoccerNet-v2. There both results are equal; on other data only this one is a mean.
    """

    all: AverageMap
    visible: AverageMap
    unshown: AverageMap


def score_spots(
    spots: Spots,
    actions: npt.NDArray[np.int64],
    *,
    classes: int,
    frame_rate: FrameRate,
    nms_window_s: float | None = None,
    tolerances_s: Sequence[float] = LOOSE_TOLERANCES_S,
) -> SpottingScore:
    """Score spots against the annotated actions.

    Args:
        spots: Predictions before non-maximum suppression.
        actions: (n, 4): half, frame, class, visible (1, else not shown); at most one per cell (half, class,
            frame).
        classes: Number of classes (C).
        frame_rate: Converts tolerances to frames.
        nms_window_s: Width of the suppression in seconds. None: the width of each tolerance (2020 code, the
            paper's numbers). A number applies to all tolerances (2021 code: 20 s; 0 keeps all spots, as in
            the SoccerNet package).
        tolerances_s: Tolerances in seconds, as full widths.
    """

    def curves(window_s: float, *tolerances_s: float) -> list[Curves]:
        kept = suppress(spots, frame_rate.to_frames(window_s))
        widths = [tolerance_s * frame_rate.per_second for tolerance_s in tolerances_s]
        return precision_recall(Matching(kept, actions), classes=classes, tolerances_frames=widths)

    if nms_window_s is None:
        found = [curves(tolerance_s, tolerance_s)[0] for tolerance_s in tolerances_s]
    else:
        found = curves(nms_window_s, *tolerances_s)
    table = [[part.average_precision() for part in (each.all, each.visible, each.unshown)] for each in found]
    every, visible, unshown = np.array(table).transpose(1, 0, 2)
    is_unshown, everyone = actions[:, 3] <= 0, np.ones(classes, dtype=bool)
    has_any, has_visible, has_unshown = (
        np.bincount(part[:, 2], minlength=classes) > 0
        for part in (actions, actions[~is_unshown], actions[is_unshown])
    )
    return SpottingScore(
        all=AverageMap(tuple(tolerances_s), every, everyone, has_any),
        visible=AverageMap(tuple(tolerances_s), visible, everyone, has_visible),
        unshown=AverageMap(tuple(tolerances_s), unshown, has_unshown, has_unshown),
    )


def average_map(
    spots: Spots,
    actions: npt.NDArray[np.int64],
    *,
    classes: int,
    frame_rate: FrameRate,
    nms_window_s: float | None = None,
    tolerances_s: Sequence[float] = LOOSE_TOLERANCES_S,
) -> AverageMap:
    """Score spots against all actions, visible or not; arguments as in ``score_spots``."""
    score = score_spots(
        spots,
        actions,
        classes=classes,
        frame_rate=frame_rate,
        nms_window_s=nms_window_s,
        tolerances_s=tolerances_s,
    )
    return score.all

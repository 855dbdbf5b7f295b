"""Calibration of the confidence, and time offsets of correct spots."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from hpo.report.figures.labels import shortened
from hpo.report.figures.style import colour, dash, panels
from model.metrics.calibration import Calibration

_COLUMNS = 3
"""Columns of the legend."""


def calibration_figure(found: Calibration, classes: Sequence[str], tolerance_s: float) -> Figure:
    """Draw the share of correct spots against confidence (left) and the number of spots (right).

    Classes without spots are left out.
    """
    rows = -(-(int(found.spots.any(axis=1).sum()) + 1) // _COLUMNS)
    figure, ((share, number),) = panels(1, 2, width=10, height=4.3 + 0.2 * rows)
    share.plot([0, 1], [0, 1], color="#777777", linewidth=1, label="perfect calibration")
    for index, name in enumerate(classes):
        filled = found.spots[index] > 0
        if not filled.any():
            continue  # an error of zero would look like perfect calibration
        line = {"color": colour(index), "linestyle": dash(index), "marker": "o", "markersize": 4}
        label = f"{shortened(name, 24)} (error {found.expected_error[index]:.3f})"
        share.plot(found.confidence[index][filled], found.share_right[index][filled], label=label, **line)  # type: ignore[arg-type]
        number.plot(found.confidence[index][filled], found.spots[index][filled], **line)  # type: ignore[arg-type]
    share.set(
        xlabel="mean confidence",
        ylabel=f"share of correct spots within δ = {tolerance_s:g} s",
        ylim=(-0.02, 1.02),
    )
    number.set(xlabel="mean confidence", ylabel="spots", yscale="log")
    for axes in (share, number):
        axes.set_xlim(0, 1)
        axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=_COLUMNS, fontsize=8, frameon=False)
    figure.suptitle("Calibration of the confidence")
    return figure


def offsets_figure(
    class_index: npt.NDArray[np.int64],
    offset_s: npt.NDArray[np.float64],
    classes: Sequence[str],
    tolerance_s: float,
) -> Figure:
    """Draw a histogram of the seconds from action to spot, with one panel per class."""
    figure, grid = panels(len(classes), 1, width=8, height=1.9 * len(classes) + 0.8)
    edges = np.linspace(-tolerance_s / 2, tolerance_s / 2, 31)
    for index, (name, (axes,)) in enumerate(zip(classes, grid, strict=True)):
        mine = offset_s[class_index == index]
        axes.hist(mine, bins=edges.tolist(), color=colour(index), edgecolor="white", linewidth=0.5)
        axes.axvline(0, color="black", linewidth=1)
        middle = f", median {np.median(mine):+.1f} s" if len(mine) else ""
        title = f"{shortened(name, 40)}: {len(mine):,} spots{middle}"
        axes.set(title=title, ylabel="spots", xlim=(edges[0], edges[-1]))
        if not len(mine):
            axes.set(ylim=(0, 1), yticks=(0, 1))
    grid[-1][0].set_xlabel("seconds from the action to its spot")
    return figure

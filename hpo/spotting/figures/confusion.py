"""Confusion of classes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from hpo.report.figures.labels import shortened
from hpo.report.figures.style import panels


def confusion_figure(table: npt.NDArray[np.int64], classes: Sequence[str], tolerance_s: float) -> Figure:
    """Draw the confusion matrix: counts in cells, shaded by their share of the row.

    Args:
        table: Result of ``model.metrics.thresholded.confusion``.
        classes: Names of the classes.
        tolerance_s: Full width within which spots and actions were paired.
    """
    size = 2.2 + 0.8 * len(table)
    figure, ((axes,),) = panels(1, 1, width=size + 1, height=size)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), number in np.ndenumerate(table):
        if (row, column) != (len(classes), len(classes)):
            tone = "white" if share[row, column] > 0.6 else "black"
            axes.text(column, row, f"{number:,}", ha="center", va="center", color=tone)
    names = [shortened(name, 24) for name in classes]
    axes.set_xticks(range(len(table)), [*names, "not spotted"], rotation=30, ha="right")
    axes.set_yticks(range(len(table)), [*names, "no action"])
    axes.set(xlabel="spotted as", ylabel="action", title=f"Spots and actions within δ = {tolerance_s:g} s")
    figure.colorbar(image, ax=axes, label="share of the row", shrink=0.8)
    return figure

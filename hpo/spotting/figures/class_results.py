"""Precision, recall and F1 of every class against the tolerance (figures 6, 12, 13)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpo.report.figures.labels import wrapped
from hpo.report.figures.style import colour, panels
from model.metrics.thresholded import ClassResults


def class_results_figure(
    results: ClassResults, classes: Sequence[str], split: str, *, present: Sequence[bool]
) -> Figure:
    """Draw one row per class: metrics on the left, the counts behind them on the right.

    Args:
        results: Numbers of right and wrong spots.
        classes: Names of the classes.
        split: Name of the split.
        present: True for every class that has actions; recall and F1 of the others are not drawn.
    """
    figure, grid = panels(len(classes), 2, width=9, height=2.6 * len(classes) + 0.6)
    metrics = {
        "precision": results.precision,
        "recall": np.where(present, results.recall, np.nan),
        "F1": np.where(present, results.f1, np.nan),
    }
    numbers = {
        "true positives": results.true_positives,
        "false positives": results.false_positives,
        "false negatives": results.false_negatives,
    }
    for index, (name, row) in enumerate(zip(classes, grid, strict=True)):
        _draw(row[0], metrics, results.tolerances_s, index)
        _draw(row[1], numbers, results.tolerances_s, index)
        for axes in row:
            title = name if present[index] else f"{name} (no actions)"
            axes.set(title=wrapped(title, 36), xlabel="tolerance δ (s)", ylabel="spots or actions")
        row[0].set(ylabel="share", ylim=(0, 1.02))
    left, right = (axes.get_legend_handles_labels() for axes in grid[0])
    figure.legend(*left, loc="outside lower left", ncols=3, frameon=False)
    figure.legend(*right, loc="outside lower right", ncols=3, frameon=False)
    figure.suptitle(
        f"Spots of the {split} split above the threshold with the best F1 on the validation split"
    )
    return figure


def _draw(
    axes: Axes, lines: Mapping[str, npt.NDArray[Any]], tolerances_s: Sequence[float], index: int
) -> None:
    """Draw a line for column ``index`` of each table."""
    for line, (label, values) in enumerate(lines.items()):
        axes.plot(
            tolerances_s, values[:, index], label=label, color=colour(line), marker="os^"[line], markersize=4
        )
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)

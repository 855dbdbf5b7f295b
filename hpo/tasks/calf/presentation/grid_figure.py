"""Figure of the grid over the slicing parameters: AP of each class at the points of its grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hpo.journal.ranking import GRID
from hpo.journal.trial_state import TrialState
from hpo.report.figures.interactive import styled
from hpo.report.figures.labels import for_plotly, shortened, wrapped
from hpo.report.figures.style import panels
from hpo.tasks.base.presentation.stage_presentation import StageFigure, StageView
from hpo.tasks.calf.presentation.seconds import to_seconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as Interactive

_CAPTION = (
    "AP of one class on the validation split at each point of its grid of slicing parameters, averaged over "
    "the trials at this point (which differ in the other classes), and the number n of these trials. Empty "
    "cells: no point of the grid, not tried yet, or failed. "
    "Classes without actions in this split are left out."
)
_ROWS, _COLUMNS = "K1, K2 (s)", "K3, K4 (s)"
Before = tuple[float, float]
"""K1 and K2 in seconds."""
After = tuple[float, float]
"""K3 and K4 in seconds."""
Cells = dict[tuple[Before, After], list[float]]
"""Point of a grid -> AP of each trial at it."""


def grid_figure(view: StageView) -> StageFigure | None:
    """Draw the grid of each class; return None if no trial of the grid has a score yet."""
    trials = [trial for trial in view.finished if trial.role == GRID]
    cells = {name: found for name in view.shape.classes if (found := _cells(trials, name, view))}
    if not cells:
        return None
    return StageFigure(
        name="grid",
        title="Grid of the slicing parameters",
        caption=_CAPTION,
        picture=_picture(cells),
        interactive=_interactive(cells),
    )


def _cells(trials: Sequence[TrialState], name: str, view: StageView) -> Cells:
    found: Cells = {}
    for trial in trials:
        k1, k2, k3, k4 = (
            to_seconds(float(trial.parameters[f"K{number}_frames.{name}"]), view) for number in (1, 2, 3, 4)
        )
        if f"ap/{name}" in trial.metrics:
            found.setdefault(((k1, k2), (k3, k4)), []).append(trial.metrics[f"ap/{name}"])
    return found


@dataclass(frozen=True, slots=True)
class _Table:
    """Labels of rows and columns, and the cells: average AP, NaN without trials, and number of trials."""

    rows: list[str]
    columns: list[str]
    means: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]

    @property
    def texts(self) -> list[list[str]]:
        """Texts of the cells, for plotly; empty without trials."""
        return [
            [f"{mean:.2f}<br>n={count}" if count else "" for mean, count in zip(*row, strict=True)]
            for row in zip(self.means.tolist(), self.counts.tolist(), strict=True)
        ]


def _table(cells: Cells) -> _Table:
    rows, columns = (sorted({place[axis] for place in cells}) for axis in (0, 1))
    scores = [[cells.get((row, column), []) for column in columns] for row in rows]
    return _Table(
        [_label(row) for row in rows],
        [_label(column) for column in columns],
        np.array([[fmean(each) if each else float("nan") for each in row] for row in scores]),
        np.array([[len(each) for each in row] for row in scores]),
    )


def _label(pair: tuple[float, float]) -> str:
    return f"{pair[0]:g}, {pair[1]:g}"


def _picture(cells: dict[str, Cells]) -> "Figure":
    tables = {name: _table(found) for name, found in cells.items()}
    inches = [1.5 + 0.45 * len(table.rows) for table in tables.values()]
    columns = max(len(table.columns) for table in tables.values())
    figure, grid = panels(len(tables), 1, width=3.5 + 0.65 * columns, height=sum(inches) + 0.3)
    for (name, table), (axes,) in zip(tables.items(), grid, strict=True):
        image = axes.imshow(table.means, cmap="cividis", aspect="auto")
        middle = (np.nanmax(table.means) + np.nanmin(table.means)) / 2
        for row, column in np.argwhere(table.counts).tolist():
            mean = table.means[row, column]
            text, tone = f"{mean:.2f}\nn={table.counts[row, column]}", "black" if mean > middle else "white"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=tone)
        axes.set_xticks(range(len(table.columns)), table.columns, fontsize=8, rotation=45)
        axes.set_yticks(range(len(table.rows)), table.rows, fontsize=8)
        axes.set(title=wrapped(name, 40), xlabel=_COLUMNS, ylabel=_ROWS)
        figure.colorbar(image, ax=axes, label="AP")
    return figure


def _interactive(cells: dict[str, Cells]) -> "Interactive":
    from plotly.subplots import make_subplots

    moving = make_subplots(
        rows=len(cells),
        cols=1,
        subplot_titles=[for_plotly(shortened(name, 80)) for name in cells],
        vertical_spacing=0.28 / len(cells),
    )
    for number, (name, found) in enumerate(cells.items(), start=1):
        table = _table(found)
        place = {"row": number, "col": 1}
        length = 1 / len(cells)
        moving.add_heatmap(
            z=table.means,
            x=table.columns,
            y=table.rows,
            customdata=table.counts,
            colorscale="Cividis",
            text=table.texts,
            texttemplate="%{text}",
            hoverongaps=False,
            colorbar={"title": "AP", "len": 0.9 * length, "y": 1 - (number - 0.5) * length},
            hovertemplate=f"{_ROWS}: %{{y}}<br>{_COLUMNS}: %{{x}}<br>AP %{{z:.4f}}, %{{customdata}} trials",
            name=name,
            **place,
        )
        moving.update_xaxes(title=_COLUMNS, type="category", **place)
        moving.update_yaxes(title=_ROWS, type="category", autorange="reversed", **place)
    return styled(moving, height=300 * len(cells))

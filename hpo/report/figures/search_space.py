"""Configurations of a search in its space, with their scores."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.report.figures.labels import wrapped
from hpo.report.figures.sample import drawn_note, drawn_trials
from hpo.report.figures.space_axes import (
    COLOUR_MAP,
    LIMITS,
    Places,
    Scores,
    Shown,
    axis_name,
    axis_ticks,
    span_surface,
)
from hpo.report.figures.space_interactive import (
    contours_interactive,
    parallel_interactive,
    slices_interactive,
)
from hpo.report.figures.style import panels
from hpo.search.importance import LEAST_TRIALS
from hpo.space.parameters import Parameter, Value
from hpo.space.space import Space
from hpo.tasks.base.found import estimated_scores
from hpo.tasks.base.presentation.stage_presentation import StageFigure, StageView

_MOST_PAIRED = 5
_MOST_DRAWN = 300
"""Largest number of trials that are drawn, each with a line of its own."""
_TEXTS = {
    "parallel": (
        "Parallel coordinates",
        "Each line is a trial across all hyperparameters, on the scales on which they are searched, coloured "
        "by its score.",
    ),
    "slices": ("Slices", "Scores against each hyperparameter alone; colour is the order of the trials."),
    "contours": (
        "Contours of pairs",
        "Scores over two hyperparameters at a time, interpolated between the trials (points); the other "
        "hyperparameters differ from point to point.",
    ),
}


def search_space_figures(view: StageView) -> list[StageFigure]:
    """Draw parallel coordinates, slices and contours of pairs; return none until two trials have a score.

    Contours take as many trials as the importance; of fewer they would show the interpolation only.
    """
    estimated = estimated_scores(view.state, view.stage)
    trials = [view.state.trials[name] for name in estimated]
    drawn = drawn_trials(trials, _MOST_DRAWN)
    if len(drawn) < 2:
        return []
    shown = Space.from_description(view.state.stages[view.stage].space).searched
    if not shown:
        return []
    places = np.array([[_place(parameter, trial.parameters) for parameter in shown] for trial in drawn])
    scores = np.array([estimated[trial.trial] for trial in drawn])
    forms = {
        "parallel": (
            _parallel(shown, places, scores, view.score_axis),
            parallel_interactive(shown, places, scores, view.score_label),
        ),
        "slices": (
            _slices(shown, places, scores, view.score_label),
            slices_interactive(shown, places, scores, view.score_label),
        ),
    }
    paired = _paired(shown, places, view)
    if len(paired) > 1 and len(drawn) >= LEAST_TRIALS:
        forms["contours"] = (
            _contours(shown, paired, places, scores, view.score_axis),
            contours_interactive(shown, paired, places, scores, view.score_label),
        )
    return [
        StageFigure(
            name=name,
            title=_TEXTS[name][0],
            caption=_TEXTS[name][1] + _stopped_note(trials) + drawn_note(len(drawn), len(trials)),
            picture=picture,
            interactive=moving,
        )
        for name, (picture, moving) in forms.items()
    ]


def _stopped_note(trials: Sequence[TrialState]) -> str:
    """Say in a caption how stopped trials are drawn; empty if there are none."""
    if not any(trial.status is TrialStatus.STOPPED for trial in trials):
        return ""
    return " Trials that were stopped early have the score that they are expected to reach."


def _place(parameter: Parameter, parameters: Mapping[str, Value]) -> float:
    """Position on the axis of a parameter; none without a value, so that a line has a gap there."""
    return parameter.to_unit(parameters[parameter.name]) if parameter.name in parameters else math.nan


def _paired(shown: Shown, places: Places, view: StageView) -> list[int]:
    """Places of the parameters whose pairs are drawn: the most important ones, in the order of the space.

    A parameter whose condition held at no point has no pairs.
    """
    names = [parameter.name for parameter in shown]
    tried = {name for name, column in zip(names, places.T, strict=True) if not np.isnan(column).all()}
    ranked = [name for name in view.importance or names if name in tried]
    return [index for index, name in enumerate(names) if name in ranked[:_MOST_PAIRED]]


def _parallel(shown: Shown, places: Places, scores: Scores, axis: str) -> Figure:
    figure, ((axes,),) = panels(1, 1, width=9, height=4.5)
    scale = ScalarMappable(Normalize(scores.min(), scores.max()), COLOUR_MAP)
    for row in np.argsort(scores):
        axes.plot(places[row], color=scale.to_rgba(scores[row]), alpha=0.85)
    width = max(100 // len(shown), 8)
    axes.set_xticks(
        range(len(shown)), [wrapped(axis_name(parameter), width) for parameter in shown], fontsize=8
    )
    axes.set(yticks=[], ylim=LIMITS, xlim=(-0.2, len(shown) - 0.4))
    axes.spines["left"].set_visible(False)
    for index, parameter in enumerate(shown):
        axes.axvline(index, color="#555555", linewidth=0.8)
        for tick, label in axis_ticks(parameter).items():
            axes.text(index + 0.04, tick, wrapped(label, width), fontsize=8, va="center")
    figure.colorbar(scale, ax=axes, label=wrapped(axis, 40))
    return figure


def _slices(shown: Shown, places: Places, scores: Scores, axis: str) -> Figure:
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure, grid = panels(rows, columns, width=3.2 * columns + 0.8, height=2.8 * rows)
    flat = [axes for row in grid for axes in row]
    for index, (axes, parameter) in enumerate(zip(flat, shown, strict=False)):
        drawn = axes.scatter(places[:, index], scores, c=np.arange(1, len(scores) + 1), cmap=COLOUR_MAP)
        _mark(axes, parameter, "x")
        axes.grid(alpha=0.3)
        if index % columns == 0:
            axes.set_ylabel(wrapped(axis, 28))
    for axes in flat[len(shown) :]:
        axes.set_visible(False)
    figure.colorbar(drawn, ax=flat, label="order of the trials")
    return figure


def _contours(shown: Shown, paired: Sequence[int], places: Places, scores: Scores, axis: str) -> Figure:
    """The lower triangle of all pairs."""
    side = len(paired) - 1
    figure, grid = panels(side, side, width=2.4 * side + 2, height=2.2 * side + 0.6)
    levels = np.linspace(scores.min(), scores.max() + 1e-9, 11)
    for row, below in enumerate(paired[1:]):
        for column, left in enumerate(paired[:-1]):
            axes = grid[row][column]
            if column > row:
                axes.set_visible(False)
                continue
            _fill(axes, places[:, left], places[:, below], scores, levels)
            axes.set(xlim=LIMITS, ylim=LIMITS)
            _mark(axes, shown[left], "x", named=row == side - 1)
            _mark(axes, shown[below], "y", named=column == 0)
    scale = ScalarMappable(Normalize(levels[0], levels[-1]), COLOUR_MAP)
    figure.colorbar(scale, ax=[axes for row in grid for axes in row], label=wrapped(axis, 40), shrink=0.8)
    return figure


def _fill(axes: Axes, x: Places, y: Places, scores: Scores, levels: npt.NDArray[np.float64]) -> None:
    known = ~np.isnan(x + y)
    x, y, scores = x[known], y[known], scores[known]
    if span_surface(x, y):
        axes.tricontourf(x, y, scores, levels=levels, cmap=COLOUR_MAP)
    axes.scatter(x, y, c=scores, cmap=COLOUR_MAP, vmin=levels[0], vmax=levels[-1], edgecolors="white", s=22)


def _mark(axes: Axes, parameter: Parameter, side: str, *, named: bool = True) -> None:
    """Ticks of an axis of the unit cube, in the parameter's own values."""
    axis = axes.xaxis if side == "x" else axes.yaxis
    ticks = axis_ticks(parameter)
    labels = [wrapped(text, 12) if named else "" for text in ticks.values()]
    axis.set_ticks(list(ticks), labels, fontsize=8)
    if named:
        axis.set_label_text(wrapped(axis_name(parameter), 20))

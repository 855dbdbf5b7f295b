"""Scores along one parameter while all others stay fixed: means over seeds with their spread."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from hpo.journal.trial_state import TrialState
from hpo.report.figures.interactive import interactive
from hpo.report.figures.labels import for_plotly, wrapped
from hpo.report.figures.style import colour, panels
from hpo.tasks.base.presentation.stage_presentation import StageView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as Interactive

Curve = Mapping[float, Sequence[float]]
"""Scores of all seeds by value of the parameter."""
CAPTION = "Means over seeds, with one standard deviation to either side where there are several."


def curve_of(trials: Sequence[TrialState], parameter: str) -> Curve:
    """Collect the scores of finished ``trials`` by their value of ``parameter``, in ascending order."""
    found: dict[float, list[float]] = {}
    for trial in trials:
        found.setdefault(float(trial.parameters[parameter]), []).append(trial.score or 0.0)
    return dict(sorted(found.items()))


def one_curve(curve: Curve, view: StageView, *, axis: str, scale: str) -> "tuple[Figure, Interactive]":
    """Draw one curve as a picture and as an interactive figure.

    Args:
        curve: The scores.
        view: The stage, for the label of the scores.
        axis: Label of the parameter's axis, with its unit.
        scale: ``linear`` or ``log``.
    """
    figure, ((axes,),) = panels(1, 1, width=8, height=4)
    draw_curve(axes, curve, colour(0), "-", None)
    score = wrapped(view.score_axis, 36)
    axes.set(xlabel=axis, ylabel=score, xscale=scale)
    moving = interactive()
    moving.add_scatter(**curve_trace(curve, colour(0)))
    moving.update_layout(xaxis={"title": axis, "type": scale}, yaxis_title=for_plotly(score))
    return figure, moving


def draw_curve(axes: "Axes", curve: Curve, tone: str, line: str, label: str | None) -> None:
    """Draw ``curve`` with its spreads into ``axes``."""
    means = [fmean(scores) for scores in curve.values()]
    axes.errorbar(
        list(curve),
        means,
        yerr=_spreads(curve),
        color=tone,
        linestyle=line,
        marker="o",
        markersize=4,
        capsize=3,
        label=label,
    )
    axes.grid(alpha=0.3)


def curve_trace(curve: Curve, tone: str, **more: object) -> dict[str, object]:
    """Return the arguments of ``add_scatter`` that draw ``curve``; ``more`` is added to them."""
    return {
        "x": list(curve),
        "y": [fmean(scores) for scores in curve.values()],
        "error_y": {"type": "data", "array": _spreads(curve)},
        "mode": "lines+markers",
        "line": {"color": tone},
        **more,
    }


def _spreads(curve: Curve) -> list[float]:
    return [stdev(scores) if len(scores) > 1 else 0.0 for scores in curve.values()]

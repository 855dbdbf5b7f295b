"""One parameter moved, all others held: sensitivity of the slicing parameters, lambda_seg (section 7.5)."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hpo.journal.results import TrialState
from hpo.report.figures.style import colour, dash, panels
from hpo.report.stage_figures.figure import StageFigure, StageView, interactive, styled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Interactive

Curve = Mapping[float, Sequence[float]]
"""Value of the parameter -> scores of its seeds."""
_CAPTION = "Means over seeds, with one standard deviation to either side where there are several."


def lambda_figure(view: StageView) -> StageFigure | None:
    """None while no value has a score."""
    curve = _curve(view.finished, "lambda_seg")
    if not curve:
        return None
    scale = "log" if min(curve) > 0 else "linear"
    picture, moving = _one_curve(curve, view, axis="lambda_seg", scale=scale)
    return StageFigure(
        name="lambda-sweep",
        title="Weight of the segmentation loss",
        caption=_CAPTION,
        picture=picture,
        interactive=moving,
    )


def slicing_figure(view: StageView) -> StageFigure | None:
    """The grid over K1 of the boundaries; None while no point has a score."""
    curve = _curve([trial for trial in view.finished if trial.role == "grid"], "K1_positions")
    if not curve:
        return None
    picture, moving = _one_curve(curve, view, axis="K1 (temporal positions)", scale="linear")
    return StageFigure(
        name="slicing",
        title="Grid of the slicing parameter",
        caption=f"K1 = 2 K2 = -2 K3 = -K4 of starts and ends. {_CAPTION}",
        picture=picture,
        interactive=moving,
    )


def _one_curve(curve: Curve, view: StageView, *, axis: str, scale: str) -> "tuple[Figure, Interactive]":
    figure, ((axes,),) = panels(1, 1, width=8, height=4)
    _draw(axes, curve, colour(0), "-", None)
    axes.set(xlabel=axis, ylabel=view.score_axis, xscale=scale)
    moving = interactive()
    moving.add_scatter(**_trace(curve, colour(0)))
    moving.update_layout(xaxis={"title": axis, "type": scale}, yaxis_title=view.score_axis)
    return figure, moving


def sensitivity_figure(view: StageView) -> StageFigure | None:
    """Every slicing parameter of every class around the full model; None while only that has a score."""
    curves = {
        name: {number: curve for number in (1, 2, 3, 4) if len(curve := _zone_curve(view, name, number)) > 1}
        for name in view.classes
    }
    curves = {name: lines for name, lines in curves.items() if lines}
    if not curves:
        return None
    return StageFigure(
        name="sensitivity",
        title="Sensitivity to the slicing parameters",
        caption=f"Each slicing parameter moved alone, in seconds from the action. {_CAPTION}",
        picture=_sensitivity_picture(curves, view.score),
        interactive=_sensitivity_interactive(curves, view.score),
    )


def _zone_curve(view: StageView, name: str, number: int) -> Curve:
    """Trials that moved this parameter, and the full model."""
    key = f"K{number}_frames.{name}"
    mine = [trial for trial in view.finished if trial.role.startswith((f"K{number}.{name} ", "full model"))]
    curve = _curve(mine, key)
    return {view.to_seconds(value): scores for value, scores in curve.items()}


def _curve(trials: Sequence[TrialState], parameter: str) -> Curve:
    found: dict[float, list[float]] = {}
    for trial in trials:
        found.setdefault(float(trial.parameters[parameter]), []).append(trial.score or 0.0)
    return dict(sorted(found.items()))


def _spreads(curve: Curve) -> list[float]:
    return [stdev(scores) if len(scores) > 1 else 0.0 for scores in curve.values()]


def _draw(axes: Axes, curve: Curve, tone: str, line: str, label: str | None) -> None:
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


def _trace(curve: Curve, tone: str, **more: object) -> dict[str, object]:
    return {
        "x": list(curve),
        "y": [fmean(scores) for scores in curve.values()],
        "error_y": {"type": "data", "array": _spreads(curve)},
        "mode": "lines+markers",
        "line": {"color": tone},
        **more,
    }


def _sensitivity_picture(curves: Mapping[str, Mapping[int, Curve]], score: str) -> Figure:
    figure, grid = panels(len(curves), 1, width=8, height=2.6 * len(curves) + 0.6)
    for (name, lines), (axes,) in zip(curves.items(), grid, strict=True):
        for number, curve in lines.items():
            _draw(axes, curve, colour(number - 1), dash(0), f"K{number}")
        axes.axvline(0, color="black", linewidth=1)
        axes.set(title=name, xlabel="seconds from the action", ylabel=score)
        axes.legend(fontsize=8, ncols=4)
    return figure


def _sensitivity_interactive(curves: Mapping[str, Mapping[int, Curve]], score: str) -> "Interactive":
    from plotly.subplots import make_subplots

    moving = make_subplots(
        rows=len(curves), cols=1, subplot_titles=list(curves), vertical_spacing=0.25 / len(curves)
    )
    for row, (name, lines) in enumerate(curves.items(), start=1):
        for number, curve in lines.items():
            trace = _trace(
                curve,
                colour(number - 1),
                name=f"K{number}",
                legendgroup=f"K{number}",
                showlegend=name == next(iter(curves)),
            )
            moving.add_scatter(**trace, row=row, col=1)
        moving.update_xaxes(title="seconds from the action", row=row, col=1)
        moving.update_yaxes(title=score, row=row, col=1)
    return styled(moving, height=300 * len(curves))

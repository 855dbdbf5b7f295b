"""Figures of stages that vary one parameter at a time: sensitivity and lambda_seg sweep (section 7.5)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hpo.report.figures.curves import CAPTION, Curve, curve_of, curve_trace, draw_curve, one_curve
from hpo.report.figures.interactive import styled
from hpo.report.figures.labels import for_plotly, shortened, wrapped
from hpo.report.figures.style import colour, dash, panels
from hpo.tasks.base.presentation.stage_presentation import StageFigure, StageView
from hpo.tasks.calf.presentation.seconds import to_seconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as Interactive


def lambda_figure(view: StageView) -> StageFigure | None:
    """Draw the scores over lambda_seg; return None if no value has a score yet."""
    curve = curve_of(view.finished, "lambda_seg")
    if not curve:
        return None
    scale = "log" if min(curve) > 0 else "linear"
    picture, moving = one_curve(curve, view, axis="lambda_seg", scale=scale)
    return StageFigure(
        name="lambda-sweep",
        title="Weight of the segmentation loss",
        caption=CAPTION,
        picture=picture,
        interactive=moving,
    )


def sensitivity_figure(view: StageView) -> StageFigure | None:
    """Draw the scores over each slicing parameter of each class.

    The result is None if no trial but that of the full model has a score yet.
    """
    curves = {
        name: {number: curve for number in (1, 2, 3, 4) if len(curve := _zone_curve(view, name, number)) > 1}
        for name in view.shape.classes
    }
    curves = {name: lines for name, lines in curves.items() if lines}
    if not curves:
        return None
    score = wrapped(view.score_label, 24)
    return StageFigure(
        name="sensitivity",
        title="Sensitivity to the slicing parameters",
        caption=f"Each slicing parameter varied alone, in seconds from the action. {CAPTION}",
        picture=_sensitivity_picture(curves, score),
        interactive=_sensitivity_interactive(curves, for_plotly(score)),
    )


def _zone_curve(view: StageView, name: str, number: int) -> Curve:
    """Collect the scores of the full model and of the trials that vary this parameter."""
    key, own = f"K{number}_frames.{name}", f"K{number}.{name}"
    mine = [
        trial
        for trial in view.finished
        # A role ends with the value; names of classes may begin alike.
        if trial.role == "full model" or trial.role.rpartition(" ")[0] == own
    ]
    curve = curve_of(mine, key)
    return {to_seconds(value, view): scores for value, scores in curve.items()}


def _sensitivity_picture(curves: Mapping[str, Mapping[int, Curve]], score: str) -> "Figure":
    figure, grid = panels(len(curves), 1, width=8, height=2.6 * len(curves) + 0.6)
    for (name, lines), (axes,) in zip(curves.items(), grid, strict=True):
        for number, curve in lines.items():
            draw_curve(axes, curve, colour(number - 1), dash(0), f"K{number}")
        axes.axvline(0, color="black", linewidth=1)
        axes.set(title=wrapped(name, 60), xlabel="seconds from the action", ylabel=score)
        axes.legend(fontsize=8, ncols=4)
    return figure


def _sensitivity_interactive(curves: Mapping[str, Mapping[int, Curve]], score: str) -> "Interactive":
    from plotly.subplots import make_subplots

    moving = make_subplots(
        rows=len(curves),
        cols=1,
        subplot_titles=[for_plotly(shortened(name, 80)) for name in curves],
        vertical_spacing=0.25 / len(curves),
    )
    for row, (name, lines) in enumerate(curves.items(), start=1):
        for number, curve in lines.items():
            trace = curve_trace(
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

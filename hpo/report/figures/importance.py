"""Importance of each hyperparameter of a search."""

from hpo.report.figures.interactive import interactive
from hpo.report.figures.labels import for_plotly, wrapped
from hpo.report.figures.style import colour, panels
from hpo.search.importance import sample_note
from hpo.space.symbols import symbol
from hpo.tasks.base.presentation.stage_presentation import StageFigure, StageView


def importance_figure(view: StageView) -> StageFigure | None:
    """Draw the importance of each hyperparameter; return None if it is unknown, as with few trials."""
    if not view.importance:
        return None
    axis = wrapped(f"share of the variance of {view.score_label} that single hyperparameters explain", 60)
    names = [wrapped(symbol(name), 32) for name in view.importance][::-1]
    shares = list(view.importance.values())[::-1]
    figure, ((axes,),) = panels(1, 1, width=8, height=1.2 + 0.45 * len(names))
    axes.bar_label(axes.barh(names, shares, color=colour(0)), fmt="%.2f", padding=3)
    axes.set(xlabel=axis)
    axes.margins(x=0.1)
    moving = interactive(height=140 + 40 * len(names))
    moving.add_bar(
        x=shares,
        y=list(map(for_plotly, names)),
        orientation="h",
        marker={"color": colour(0)},
        texttemplate="%{x:.2f}",
        textposition="outside",
        cliponaxis=False,
    )
    moving.update_layout(xaxis_title=for_plotly(axis))
    note = sample_note(len(view.state.ranked(view.stage)))
    return StageFigure(
        name="importance",
        title="Importance of the hyperparameters",
        caption="Share of each hyperparameter in the variance that single hyperparameters explain over the "
        "whole space; the shares sum to 1, and interactions are not counted "
        f"(fANOVA{f', {note}' if note else ''}).",
        picture=figure,
        interactive=moving,
    )

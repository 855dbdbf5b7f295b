"""Configurations with their seeds: every trial, the mean and the spread."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from hpo.journal.ranking import GRID
from hpo.journal.roles import scores_by_role, test_scores_by_role
from hpo.journal.trial_state import TrialState
from hpo.report.figures.interactive import interactive
from hpo.report.figures.labels import for_plotly, wrapped
from hpo.report.figures.style import colour, panels
from hpo.tasks.base.presentation.stage_presentation import StageFigure, StageView

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as Interactive

Scores = Mapping[str, Mapping[int, float]]
"""Scores by configuration and replicate."""
_CAPTION = "Points are seeds, the bar is their mean with one standard deviation to either side."


def seeds_figure(view: StageView) -> StageFigure | None:
    """Draw the scores of every configuration except grid points; return None while there are none."""
    trials = [trial for trial in view.trials if trial.role not in ("", GRID)]
    splits = {
        "validation split": _filled(scores_by_role(trials)),
        "test split": _filled(test_scores_by_role(trials, view.score.metric)),
    }
    splits = {split: scores for split, scores in splits.items() if scores}
    if not splits:
        return None
    score = wrapped(view.score_label, 60)
    return StageFigure(
        name="seeds",
        title="Spread over seeds",
        caption=_CAPTION,
        picture=_picture(splits, trials, score),
        interactive=_interactive(splits, trials, for_plotly(score)),
    )


def _filled(scores: Scores) -> Scores:
    return {role: values for role, values in scores.items() if values}


def _roles(trials: Sequence[TrialState]) -> list[str]:
    return list(dict.fromkeys(trial.role for trial in trials))


def _picture(splits: Mapping[str, Scores], trials: Sequence[TrialState], score: str) -> "Figure":
    roles = _roles(trials)
    figure, ((axes,),) = panels(1, 1, width=9, height=1.6 + 0.55 * len(roles))
    for index, (split, scores) in enumerate(splits.items()):
        for role, values in scores.items():
            height, numbers = _height(roles, role, index, len(splits)), list(values.values())
            axes.scatter(
                numbers, [height] * len(numbers), color=colour(index), marker="os"[index], alpha=0.7, s=24
            )
            axes.errorbar(
                fmean(numbers),
                height,
                xerr=_spread(numbers),
                color=colour(index),
                fmt="|",
                markersize=14,
                capsize=3,
                label=split if role == next(iter(scores)) else None,
            )
    axes.set_yticks(range(len(roles)), roles)
    axes.set(xlabel=score, ylim=(len(roles) - 0.5, -0.5))
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


def _interactive(splits: Mapping[str, Scores], trials: Sequence[TrialState], score: str) -> "Interactive":
    roles = _roles(trials)
    moving = interactive(height=170 + 60 * len(roles))
    for index, (split, scores) in enumerate(splits.items()):
        heights = {role: _height(roles, role, index, len(splits)) for role in scores}
        moving.add_scatter(
            x=[score for values in scores.values() for score in values.values()],
            y=[heights[role] for role, values in scores.items() for _ in values],
            text=[f"{role}, replicate {n}" for role, values in scores.items() for n in values],
            mode="markers",
            name=f"{split}, one seed",
            marker={"color": colour(index), "symbol": ("circle", "square")[index], "opacity": 0.6, "size": 8},
        )
        moving.add_scatter(
            x=[fmean(values.values()) for values in scores.values()],
            y=list(heights.values()),
            error_x={"type": "data", "array": [_spread(list(values.values())) for values in scores.values()]},
            text=list(scores),
            mode="markers",
            name=f"{split}, mean ± sd",
            marker={"color": colour(index), "symbol": "line-ns-open", "size": 16},
        )
    moving.update_layout(xaxis_title=score, margin_b=90)
    moving.update_yaxes(
        tickvals=list(range(len(roles))),
        ticktext=roles,
        autorange="reversed",
        automargin=True,
        zeroline=False,
    )
    return moving


def _height(roles: Sequence[str], role: str, index: int, count: int) -> float:
    """Return the height of a row, with the splits next to each other."""
    return roles.index(role) + 0.24 * (index - (count - 1) / 2)


def _spread(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0

"""Scores in the order in which trials were proposed, with the best so far."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from hpo.journal.ranking import GRID, has_score
from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.report.figures.interactive import interactive
from hpo.report.figures.labels import for_plotly, wrapped
from hpo.report.figures.sample import drawn_note, drawn_trials
from hpo.report.figures.style import colour, panels, score_range
from hpo.report.trial_tables import describe_settings
from hpo.tasks.base.presentation.stage_presentation import StageFigure, StageView

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as Interactive

_CAPTION = (
    "Each point is a trial at its best validation; the line is the best score so far. "
    "Crosses at the bottom are trials that failed."
)

_COMPARISON = " It starts again where new seeds compare the result of the grid with its start."

_MOST_DRAWN = 2000
"""Largest number of trials that are drawn."""
_FEW = 10
"""Number of trials below which plotly would mark fractions of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Trials that ended the same way."""

    label: str
    marker: str
    symbol: str
    tone: str
    scores: Mapping[int, float]
    """Scores by the number of the trial in its stage."""
    texts: list[str]


def history_figure(view: StageView) -> StageFigure | None:
    """Draw the scores of all trials; return None while no trial has a score."""
    groups = _groups(view)
    if not groups:
        return None
    best = _best_so_far(view)
    axis = wrapped(view.score_axis, 36)
    again = _COMPARISON if any(map(math.isnan, best.values())) else ""
    return StageFigure(
        name="history",
        title="History",
        caption=_CAPTION + again + drawn_note(sum(len(group.scores) for group in groups), _ended(view)),
        picture=_picture(groups, best, axis=axis, trials=len(view.trials)),
        interactive=_interactive(groups, best, axis=for_plotly(axis), trials=len(view.trials)),
    )


def _best_so_far(view: StageView) -> dict[float, float]:
    """Return number and best score of each trial that was better than all before, and of the last one.

    Between the points of a grid and the comparison of its result lies a NaN, which interrupts a line: the
    seeds of the comparison are others, and they alone decide.
    """
    scored = {number: trial for number, trial in enumerate(view.trials, start=1) if has_score(trial)}
    explored = {number: trial.score or 0.0 for number, trial in scored.items() if trial.role == GRID}
    others = {number: trial.score or 0.0 for number, trial in scored.items() if trial.role != GRID}
    gap = {min(others) - 0.5: math.nan} if explored and others else {}
    return {**_rises(explored), **gap, **_rises(others)}


def _rises(scores: Mapping[int, float]) -> dict[float, float]:
    best = dict(zip(scores, accumulate(scores.values(), max), strict=True))
    steps = [number for number, score in scores.items() if score == best[number]]
    return {number: best[number] for number in [*steps, *list(best)[-1:]]}


def _ended(view: StageView) -> int:
    return sum(has_score(trial) or trial.status is TrialStatus.FAILED for trial in view.trials)


def _groups(view: StageView) -> list[_Group]:
    """Return the groups that contain trials; empty if no trial has a score."""
    trials = view.trials
    drawn = {trial.trial for trial in drawn_trials(trials, _MOST_DRAWN)}
    numbered = {number: each for number, each in enumerate(trials, start=1) if each.trial in drawn}
    scored = {
        number: (trial, trial.score)
        for number, trial in numbered.items()
        if trial.score is not None and math.isfinite(trial.score)
    }
    if not scored:
        return []
    floor = min(score for _, score in scored.values())
    failed = {n: (trial, floor) for n, trial in numbered.items() if trial.status is TrialStatus.FAILED}
    looks = {
        TrialStatus.FINISHED: ("finished", "o", "circle", colour(0), scored),
        TrialStatus.STOPPED: ("stopped early", "s", "square", colour(1), scored),
        TrialStatus.FAILED: ("failed", "x", "x", colour(3), failed),
    }
    groups = []
    for status, (label, marker, symbol, tone, among) in looks.items():
        mine = {number: pair for number, pair in among.items() if pair[0].status is status}
        if mine:
            scores = {number: score for number, (_, score) in mine.items()}
            texts = [_hover_text(trial, view) for trial, _ in mine.values()]
            groups.append(
                _Group(label=label, marker=marker, symbol=symbol, tone=tone, scores=scores, texts=texts)
            )
    return groups


def _picture(groups: list[_Group], best: Mapping[float, float], *, axis: str, trials: int) -> "Figure":
    from matplotlib.ticker import MaxNLocator  # matplotlib takes half a second to import

    figure, ((axes,),) = panels(1, 1, width=9, height=4.2)
    for group in groups:
        places, scores = list(group.scores), list(group.scores.values())
        look = {"color": group.tone, "marker": group.marker, "zorder": 3, "clip_on": False}
        axes.scatter(places, scores, label=group.label, **look)  # type: ignore[arg-type]
    if best:
        line = {"where": "post", "color": colour(6), "linewidth": 1.2}
        axes.step(list(best), list(best.values()), label="best so far", **line)  # type: ignore[arg-type]
    axes.set(xlabel="trial", ylabel=axis, xlim=(0, trials + 1))
    axes.set_ylim(_ends(groups))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=4, frameon=False)
    return figure


def _interactive(
    groups: list[_Group], best: Mapping[float, float], *, axis: str, trials: int
) -> "Interactive":
    moving = interactive()
    for group in groups:
        moving.add_scatter(
            x=list(group.scores),
            y=list(group.scores.values()),
            mode="markers",
            name=group.label,
            text=group.texts,
            marker={"color": group.tone, "symbol": group.symbol, "size": 9},
            cliponaxis=False,
        )
    moving.add_scatter(
        x=list(best),
        y=list(best.values()),
        mode="lines",
        name="best so far",
        line={"shape": "hv", "color": colour(6)},
    )
    moving.update_xaxes(title="trial", range=(0, trials + 1), dtick=1 if trials < _FEW else None)
    moving.update_yaxes(title=axis, range=_ends(groups))
    moving.update_layout(margin_b=90)
    return moving


def _ends(groups: list[_Group]) -> tuple[float, float] | None:
    return score_range(score for group in groups for score in group.scores.values())


def _hover_text(trial: TrialState, view: StageView) -> str:
    start = view.state.stages[view.stage].start
    return f"{trial.trial}: {trial.reason or describe_settings(trial, start)}"

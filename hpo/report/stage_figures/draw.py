"""All figures of a stage, as far as they can be drawn."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hpo.report.stage_figures.figure import StageFigure, StageView
from hpo.report.stage_figures.grid import grid_figure
from hpo.report.stage_figures.history import history_figure
from hpo.report.stage_figures.importance import importance_figure
from hpo.report.stage_figures.search_space import search_space_figures
from hpo.report.stage_figures.seeds import seeds_figure
from hpo.report.stage_figures.sweeps import lambda_figure, sensitivity_figure, slicing_figure

Drawer = Callable[[StageView], StageFigure | list[StageFigure] | None]
_DRAWERS: dict[str, dict[str, Drawer]] = {
    "bayes": {
        "history": history_figure,
        "importance": importance_figure,
        "the space": search_space_figures,
    },
    "grid-slicing": {"history": history_figure, "grid": grid_figure, "seeds": seeds_figure},
    "final": {"seeds": seeds_figure},
    "ablation": {"seeds": seeds_figure},
    "sensitivity": {"sensitivity": sensitivity_figure},
    "lambda-sweep": {"lambda": lambda_figure},
    "bmn-slicing": {"history": history_figure, "slicing": slicing_figure, "seeds": seeds_figure},
    "bmn-compare": {"seeds": seeds_figure},
}
_ANY_STAGE: dict[str, Drawer] = {"history": history_figure, "seeds": seeds_figure}
"""Of a stage that a task has of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What could be drawn, and what not."""

    figures: tuple[StageFigure, ...]
    failures: tuple[str, ...]
    """Such as ``grid: KeyError: 'ap/goal'``."""


def draw_stage(view: StageView) -> Drawn:
    """Draw every figure for which the stage has something to show; one that fails leaves the others alone."""
    figures: list[StageFigure] = []
    failures = []
    for name, drawer in _DRAWERS.get(view.stage, _ANY_STAGE).items():
        try:
            figures += _listed(drawer(view))
        except Exception as error:  # drawing libraries fail in ways that no list holds
            reason = (str(error).splitlines() or [""])[0]
            failures.append(f"{name}: {type(error).__name__}: {reason}")
    return Drawn(figures=tuple(figures), failures=tuple(failures))


def _listed(drawn: StageFigure | list[StageFigure] | None) -> Iterator[StageFigure]:
    if isinstance(drawn, StageFigure):
        yield drawn
    else:
        yield from drawn or ()

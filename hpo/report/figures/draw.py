"""The figures of a stage, as far as they can be drawn."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hpo.config.stages import SEARCH
from hpo.report.figures.history import history_figure
from hpo.report.figures.importance import importance_figure
from hpo.report.figures.search_space import search_space_figures
from hpo.report.figures.seeds import seeds_figure
from hpo.tasks.base.presentation.stage_presentation import (
    DrawFigures,
    StageFigure,
    StagePresentation,
    StageView,
)

_SEARCH_FIGURES: dict[str, DrawFigures] = {
    "history": history_figure,
    "importance": importance_figure,
    "the space": search_space_figures,
}
_ANY_STAGE: dict[str, DrawFigures] = {"history": history_figure, "seeds": seeds_figure}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The figures of a stage that could be drawn, and why the others could not."""

    figures: tuple[StageFigure, ...]
    failures: tuple[str, ...]
    """Reasons, such as ``grid: KeyError: 'ap/goal'``."""


def draw_stage(view: StageView, presentation: StagePresentation) -> Drawn:
    """Draw every figure for which the stage has something to show; a figure that fails stops no other."""
    figures: list[StageFigure] = []
    failures = []
    for name, drawer in _drawers(view.stage, presentation).items():
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


def _drawers(stage: str, presentation: StagePresentation) -> Mapping[str, DrawFigures]:
    if stage == SEARCH:
        return _SEARCH_FIGURES
    return _ANY_STAGE if presentation.figures is None else presentation.figures

"""Figures of a stage; one that cannot be drawn is replaced by the reason."""

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
from model.wording import described

_SEARCH_FIGURES: dict[str, DrawFigures] = {
    "history": history_figure,
    "importance": importance_figure,
    "the space": search_space_figures,
}
_ANY_STAGE: dict[str, DrawFigures] = {"history": history_figure, "seeds": seeds_figure}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Figures of a stage that could be drawn, and the reasons why others could not."""

    figures: tuple[StageFigure, ...]
    failures: tuple[str, ...]
    """Reasons of figures that failed, such as ``grid: KeyError: 'ap/goal'``."""


def draw_stage(view: StageView, presentation: StagePresentation) -> Drawn:
    """Draw all figures for which the stage has data; the others are drawn even if one fails."""
    figures: list[StageFigure] = []
    failures = []
    for name, drawer in _drawers(view.stage, presentation).items():
        try:
            figures += _listed(drawer(view))
        except Exception as error:  # drawing libraries fail in ways that no list holds
            failures.append(f"{name}: {described(error)}")
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

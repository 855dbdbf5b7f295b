"""Tables and figures of a stage, made from the journal of its study."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hpo.config.stages import SEARCH
from hpo.journal.results import StudyState
from hpo.search.importance import importance
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Space
from hpo.study.plan import StudyPlan
from hpo.tasks.base.found import whole_configurations
from hpo.tasks.base.presentation.stage_presentation import StageView
from hpo.tracking.figures import FigureFiles

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hpo.report.figures.draw import Drawn

INTERACTIVE = "figures.html"


def stage_view(plan: StudyPlan, state: StudyState, stage: str) -> StageView:
    """Return the data from which the tables and figures of ``stage`` are made."""
    return StageView(
        state=state,
        stage=stage,
        shape=plan.shape,
        dataset=plan.dataset,
        score=plan.score,
        importance=stage_importance(state, stage),
    )


def drawn_stage(plan: StudyPlan, state: StudyState, stage: str) -> "Drawn":
    """Draw the figures of ``stage``."""
    from hpo.report.figures.draw import draw_stage  # plotly and matplotlib take a second to import

    return draw_stage(stage_view(plan, state, stage), plan.task.presentation(stage))


def stage_results(plan: StudyPlan, state: StudyState, stage: str, *, top: int) -> "list[RenderableType]":
    """Return the tables of ``stage``; of a search, its ``top`` best trials."""
    from hpo.report.stage_tables import stage_tables

    return stage_tables(stage_view(plan, state, stage), plan.task.presentation(stage), top=top)


def stage_importance(state: StudyState, stage: str) -> Mapping[str, float]:
    """Return the importance of each hyperparameter, in descending order; see ``hpo.search.importance``.

    The importance is computed from the journal each time.

    Returns:
        Importance by name; empty if the stage is not a search or has too few trials.
    """
    if stage != SEARCH or stage not in state.stages:
        return {}
    scored = [ScoredPoint(dict(each.parameters), each.mean) for each in whole_configurations(state, stage)]
    space = Space.from_description(state.stages[stage].space)
    return importance(space, scored, seed=state.created.seed)


def figure_files(plan: StudyPlan, state: StudyState, stage: str) -> FigureFiles:
    """Return one PNG file per figure, and one HTML page with all interactive figures."""
    from hpo.report.figures.style import figure_bytes
    from hpo.report.html import stage_page

    drawn = drawn_stage(plan, state, stage)
    files = {f"{figure.name}.png": figure_bytes(figure.picture, "png") for figure in drawn.figures}
    if drawn.figures:
        title = f"Stage {stage} of study {state.created.study}"
        files[INTERACTIVE] = stage_page(title, drawn.figures).encode()
    return FigureFiles(files=files, failures=drawn.failures)

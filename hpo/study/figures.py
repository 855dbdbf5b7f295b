"""Figures of a stage, from a journal."""

from typing import TYPE_CHECKING

from hpo.journal.results import StudyState
from hpo.study.importance import stage_importance
from hpo.study.plan import StudyPlan
from hpo.tracking.figures import FigureFiles

if TYPE_CHECKING:
    from hpo.report.stage_figures.draw import Drawn

INTERACTIVE = "figures.html"


def drawn_stage(plan: StudyPlan, state: StudyState, stage: str) -> "Drawn":
    """The figures of ``stage``, with what could not be drawn."""
    from hpo.report.stage_figures.draw import draw_stage  # plotly and matplotlib take a second
    from hpo.report.stage_figures.figure import StageView

    return draw_stage(
        StageView(
            state=state,
            stage=stage,
            classes=plan.shape.classes,
            frame_rate=getattr(plan.shape, "frame_rate", None),
            importance=stage_importance(state, stage),
        )
    )


def figure_files(plan: StudyPlan, state: StudyState, stage: str) -> FigureFiles:
    """A PNG a figure, and one page of HTML in which all of them can be explored."""
    from hpo.report.figures.style import figure_bytes
    from hpo.report.page.render import stage_page

    drawn = drawn_stage(plan, state, stage)
    files = {f"{figure.name}.png": figure_bytes(figure.picture, "png") for figure in drawn.figures}
    if drawn.figures:
        title = f"Stage {stage} of study {state.created.study}"
        files[INTERACTIVE] = stage_page(title, drawn.figures).encode()
    return FigureFiles(files=files, failures=drawn.failures)

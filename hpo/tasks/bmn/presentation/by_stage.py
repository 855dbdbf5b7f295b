"""Presentation of each stage of boundary-matching networks."""

from hpo.journal.ranking import GRID
from hpo.report.figures.curves import CAPTION, curve_of, one_curve
from hpo.report.figures.history import history_figure
from hpo.report.figures.seeds import seeds_figure
from hpo.tasks.base.presentation.stage_presentation import StageFigure, StagePresentation, StageView
from hpo.tasks.bmn.presentation.tables import grid_tables, losses_tables


def slicing_figure(view: StageView) -> StageFigure | None:
    """Draw the scores of the grid over K1; return None if no point has a score yet."""
    curve = curve_of([trial for trial in view.finished if trial.role == GRID], "K1_positions")
    if not curve:
        return None
    picture, moving = one_curve(curve, view, axis="K1 (temporal positions)", scale="linear")
    return StageFigure(
        name="slicing",
        title="Grid of the slicing parameter",
        caption=f"K1 = 2 K2 = -2 K3 = -K4 of starts and ends. {CAPTION}",
        picture=picture,
        interactive=moving,
    )


PRESENTATIONS = {
    "bmn-slicing": StagePresentation(
        reference="start",
        tables=grid_tables,
        figures={"history": history_figure, "slicing": slicing_figure, "seeds": seeds_figure},
    ),
    "bmn-compare": StagePresentation(reference="bmn", tables=losses_tables, figures={"seeds": seeds_figure}),
}

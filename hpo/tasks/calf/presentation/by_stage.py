"""Presentation of each stage of action spotting."""

from hpo.report.figures.history import history_figure
from hpo.report.figures.seeds import seeds_figure
from hpo.tasks.base.presentation.stage_presentation import StagePresentation
from hpo.tasks.calf.presentation.grid_figure import grid_figure
from hpo.tasks.calf.presentation.sweep_figures import lambda_figure, sensitivity_figure
from hpo.tasks.calf.presentation.tables import (
    TABLE_2,
    TABLE_2_DATASET,
    final_tables,
    grid_tables,
)
from hpo.tasks.calf.sections import PAPERS_SCORE

PRESENTATIONS = {
    "grid-slicing": StagePresentation(
        reference="start",
        tables=grid_tables,
        figures={"history": history_figure, "grid": grid_figure, "seeds": seeds_figure},
    ),
    "final": StagePresentation(reference="study file", tables=final_tables, figures={"seeds": seeds_figure}),
    "ablation": StagePresentation(
        reference="full model",
        published=TABLE_2,
        note="The last column shows Table 2 of the paper (SoccerNet, test split, ResNet features); "
        "comparable only on the same games.",
        published_on=(TABLE_2_DATASET,),
        published_score=PAPERS_SCORE,
        figures={"seeds": seeds_figure},
    ),
    "sensitivity": StagePresentation(reference="full model", figures={"sensitivity": sensitivity_figure}),
    "lambda-sweep": StagePresentation(figures={"lambda": lambda_figure}),
}

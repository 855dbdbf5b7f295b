"""Presentation of each stage of action spotting."""

from hpo.report.figures.history import history_figure
from hpo.report.figures.seeds import seeds_figure
from hpo.tasks.base.presentation.stage_presentation import StagePresentation
from hpo.tasks.calf.presentation.grid_figure import grid_figure
from hpo.tasks.calf.presentation.sweep_figures import lambda_figure, sensitivity_figure
from hpo.tasks.calf.presentation.tables import (
    PAPERS_DATASET,
    PAPERS_SCORE,
    TABLE_1,
    TABLE_2,
    final_tables,
    grid_tables,
)

PRESENTATIONS = {
    "grid-slicing": StagePresentation(
        reference="start",
        tables=grid_tables,
        figures={"history": history_figure, "grid": grid_figure, "seeds": seeds_figure},
    ),
    "final": StagePresentation(
        reference="study file",
        note="For comparison, Table 1 of the paper (SoccerNet, test split): "
        + ", ".join(f"{name} {score:.3f}" for name, score in TABLE_1.items())
        + "; comparable only on the same games and features.",
        published_on=PAPERS_DATASET,
        published_score=PAPERS_SCORE,
        tables=final_tables,
        figures={"seeds": seeds_figure},
    ),
    "ablation": StagePresentation(
        reference="full model",
        published=TABLE_2,
        note="The column paper shows Table 2 of the paper (SoccerNet, test split, ResNet features); "
        "comparable only on the same games and features.",
        published_on=PAPERS_DATASET,
        published_score=PAPERS_SCORE,
        figures={"seeds": seeds_figure},
    ),
    "sensitivity": StagePresentation(reference="full model", figures={"sensitivity": sensitivity_figure}),
    "lambda-sweep": StagePresentation(figures={"lambda": lambda_figure}),
}

"""Description of the task ``bmn``: what commands need that read a study and do not train."""

from collections.abc import Collection

from hpo.tasks.base.description import TaskDescription
from hpo.tasks.base.presentation.stage_presentation import StagePresentation
from hpo.tasks.base.score import Score
from hpo.tasks.base.splits import DataShape
from hpo.tasks.bmn.study_file import BmnStudy, CompareStage, SlicingStage


class BmnDescription(TaskDescription[BmnStudy, DataShape]):
    """Temporal proposals on videos, scored by AUC of average recall."""

    name = "bmn"
    unit = "videos"
    score = Score("auc", "AUC")
    study_file = BmnStudy
    finders = ("bayes", "bmn-slicing")
    procedure = ("bmn-slicing", "bmn-compare")

    def units_note(self, shape: DataShape, symbols: Collection[str]) -> str:
        """Return the unit of the slicing parameter, if it is among the symbols."""
        return "K1 is in temporal positions." if "K1" in symbols else ""

    def describe_stage(self, study: BmnStudy, stage: str, shape: DataShape) -> list[str]:
        """Describe the values of the grid over K1, or the losses to compare."""
        match study.stages.named(stage):
            case SlicingStage() as settings:
                values = " ".join(f"{value:g}" for value in settings.K1_positions)
                return [f"grid      K1 {values} with K1 = 2 K2 = -2 K3 = -K4 (K1_positions of the stage)"]
            case CompareStage() as settings:
                return [f"losses    {', '.join(settings.tem_losses)} (tem_losses of the stage)"]
        return []

    def presentation(self, stage: str) -> StagePresentation:
        """Return tables and figures of the grid over K1 and of the comparison of losses."""
        from hpo.tasks.bmn.presentation.by_stage import PRESENTATIONS  # a trial draws nothing

        return PRESENTATIONS.get(stage, StagePresentation())


DESCRIPTION = BmnDescription()

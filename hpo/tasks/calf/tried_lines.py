"""Lines of a plan that show what the stages after a search try."""

from collections.abc import Sequence

from hpo.tasks.calf.stages import ClassGrid, GridStage, LambdaSweepStage, SensitivityStage
from hpo.tasks.calf.study_file import CalfStudy


def tried_lines(study: CalfStudy, stage: str, classes: Sequence[str]) -> list[str]:
    """Describe the values that a grid or a sweep tries, with their keys in the study file."""
    match study.stages.named(stage):
        case GridStage(mode="symmetric") as settings:
            which = "all classes together" if settings.shared else "each class"
            rule = f"K3 {_listed(settings.symmetric_s)} s with K1 = 2 K2 = -2 K3 = -K4 for {which}"
            return [f"grid      {rule} (symmetric_s of the stage)"]
        case GridStage() as settings:
            named = [name for name in classes if name in settings.grid]
            others = "other classes" if named else "every class"
            shown = {name: settings.grid[name] for name in named}
            if len(named) < len(classes):
                shown[others] = settings.grid.get("default", ClassGrid())
            return [
                f"grid      {name} {_axes(grid)} (grid.{name if name in named else 'default'} of the stage"
                f"{', the usual values, for soccer' if grid == ClassGrid() else ''})"
                for name, grid in shown.items()
            ]
        case SensitivityStage() as settings:
            return [f"factors   {_listed(settings.factors)} of each slicing parameter (factors of the stage)"]
        case LambdaSweepStage() as settings:
            return [f"values    lambda_seg {_listed(settings.values)} (values of the stage)"]
    return []


def _axes(grid: ClassGrid) -> str:
    axes = {"K1": grid.K1_s, "K2": grid.K2_s, "K3": grid.K3_s, "K4": grid.K4_s}
    return f"{', '.join(f'{name} {_listed(values)}' for name, values in axes.items())} s"


def _listed(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)

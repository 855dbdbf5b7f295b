"""Programs of the stages of ``calf`` after the search."""

from collections import Counter
from collections.abc import Sequence

from hpo.config.stages import Stage
from hpo.programs.grid import ConfigurationExplorer, Explorer, GridProgram
from hpo.programs.listed import FIRST_COMPARISON_REPLICATE, ListedProgram
from hpo.programs.program import Program
from hpo.space.space import Parameters
from hpo.tasks.base.splits import SplitRef
from hpo.tasks.base.task import StageContext
from hpo.tasks.calf.comparisons import ablation_entries, lambda_entries, sensitivity_entries
from hpo.tasks.calf.data import open_reference
from hpo.tasks.calf.explorers import (
    ClassParallel,
    PerClass,
    Points,
    joint_configurations,
    shared_configurations,
)
from hpo.tasks.calf.shape import GamesShape
from hpo.tasks.calf.stages import AblationStage, ClassGrid, GridStage, LambdaSweepStage, SensitivityStage
from hpo.tasks.calf.study_file import CalfStudy
from hpo.tasks.calf.zones import grid_points, symmetric_points
from model.errors import ConfigError


def program_of(settings: Stage, context: StageContext[CalfStudy, GamesShape]) -> Program:
    """Build the program of a stage that starts from a complete configuration."""
    shape, start = context.shape, context.start
    match settings:
        case GridStage() as stage:
            classes = _by_weight(context.train, shape)
            if stage.judges_classes:
                classes = _with_actions(context.valid, shape, classes)
            points = _points(stage, classes, shape)
            explorer = _explorer(stage, points, start, context.seed)
            return GridProgram(explorer, start, seeds=stage.seeds)
        case AblationStage() as stage:
            return ListedProgram(
                ablation_entries(start, shape.classes),
                seeds=stage.seeds,
                first_replicate=FIRST_COMPARISON_REPLICATE,
            )
        case SensitivityStage() as stage:
            entries = sensitivity_entries(start, shape.classes, [float(factor) for factor in stage.factors])
            return ListedProgram(entries, seeds=stage.seeds, first_replicate=FIRST_COMPARISON_REPLICATE)
        case LambdaSweepStage() as stage:
            entries = lambda_entries(start, [float(value) for value in stage.values])
            return ListedProgram(entries, seeds=stage.seeds, first_replicate=FIRST_COMPARISON_REPLICATE)
    raise TypeError(f"stage {context.stage} has no program")


def _by_weight(train: SplitRef, shape: GamesShape) -> list[str]:
    """Return the classes by number of training actions, largest first, the order of mode ``per-class``."""
    counts = Counter(open_reference(train).actions[:, 2].tolist())
    return sorted(shape.classes, key=lambda name: -counts[shape.classes.index(name)])


def _with_actions(split: SplitRef, shape: GamesShape, classes: Sequence[str]) -> list[str]:
    """Return the ``classes`` that have actions in a split; the zones of others cannot be judged on it."""
    present = set(open_reference(split).actions[:, 2].tolist())
    return [name for name in classes if shape.classes.index(name) in present]


def _points(stage: GridStage, classes: Sequence[str], shape: GamesShape) -> Points:
    try:
        if stage.mode == "symmetric":
            key = "symmetric_s"
            points = symmetric_points([float(value) for value in stage.symmetric_s], shape.frame_rate)
            return dict.fromkeys(classes, points)
        found = {}
        for name in classes:
            key = f"grid.{name}" if name in stage.grid else "grid.default"
            grid = stage.grid.get(name) or stage.grid.get("default", ClassGrid())
            found[name] = grid_points(grid, shape.frame_rate)
        return found
    except ConfigError as error:
        error.details["key"] = f"stages.grid-slicing.{key}"
        raise


def _explorer(stage: GridStage, points: Points, start: Parameters, seed: int) -> Explorer:
    match stage.mode:
        case "per-class":
            return PerClass(points, start, replicates=stage.replicates)
        case "joint":
            return ConfigurationExplorer(
                joint_configurations(points, start), start, replicates=stage.replicates
            )
        case "symmetric" if stage.shared:
            return ConfigurationExplorer(
                shared_configurations(points, start), start, replicates=stage.replicates
            )
        case _:
            return ClassParallel(points, start, seed=seed, replicates=stage.replicates)

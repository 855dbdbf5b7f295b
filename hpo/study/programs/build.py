"""The program of a stage, from its settings and the configuration it starts from."""

from collections.abc import Mapping, Sequence

from hpo.config.stages import (
    AblationStage,
    FinalStage,
    GridStage,
    LambdaSweepStage,
    SearchStage,
    SensitivityStage,
)
from hpo.config.study_file import StudyFile, first_points, space_of
from hpo.search.build import build_searcher
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Parameters
from hpo.study.programs.comparisons import ablation_entries, lambda_entries, sensitivity_entries
from hpo.study.programs.explorers import ClassParallel, PerClass, Points, Together
from hpo.study.programs.grid import Explorer, GridProgram
from hpo.study.programs.listed import ListedProgram
from hpo.study.programs.program import Program
from hpo.study.programs.search import SearchProgram
from hpo.study.programs.zones import grid_points, symmetric_points
from hpo.trial.settings import DataShape

COMPARING = 101
"""First replicate of finals and other comparisons: no search or grid before has chosen anything by it."""


def build_program(
    study: StudyFile,
    name: str,
    shape: DataShape,
    start: Parameters,
    *,
    finalists: Mapping[str, Parameters],
    classes: Sequence[str],
    seed: int,
    known: Sequence[ScoredPoint] = (),
) -> Program:
    """The program of stage ``name``.

    Args:
        study: With the stage's settings put in.
        name: The stage.
        shape: Classes and frame rate of the data.
        start: A whole configuration; a search does not need it.
        finalists: Role -> configuration of the ``final`` stage.
        classes: In the order in which ``per-class`` takes them.
        seed: Draws searches and orders.
        known: Scores of an earlier study that a search learns from.
    """
    match study.stages.named(name):
        case SearchStage() as stage:
            first = first_points(study, stage)
            searcher = build_searcher(stage.searcher, space_of(stage), seed=seed, first=first, known=known)
            return SearchProgram(searcher, points=stage.trials, replicates=stage.replicates)
        case GridStage() as stage:
            explorer = _explorer(stage, _points(stage, classes, shape), start, seed)
            return GridProgram(explorer, start, seeds=stage.seeds, first=stage.replicates)
        case FinalStage() as stage:
            return ListedProgram(finalists, seeds=stage.seeds, first=COMPARING)
        case AblationStage() as stage:
            return ListedProgram(ablation_entries(start, shape.classes), seeds=stage.seeds, first=COMPARING)
        case SensitivityStage() as stage:
            entries = sensitivity_entries(start, shape.classes, [float(factor) for factor in stage.factors])
            return ListedProgram(entries, seeds=stage.seeds, first=COMPARING)
        case LambdaSweepStage() as stage:
            entries = lambda_entries(start, [float(value) for value in stage.values])
            return ListedProgram(entries, seeds=stage.seeds, first=COMPARING)
    raise TypeError(f"stage {name} has no program")


def _points(stage: GridStage, classes: Sequence[str], shape: DataShape) -> Points:
    if stage.mode == "symmetric":
        points = symmetric_points([float(value) for value in stage.symmetric_s], shape.frame_rate)
        return dict.fromkeys(classes, points)
    default = stage.grid["default"]
    return {name: grid_points(stage.grid.get(name, default), shape.frame_rate) for name in classes}


def _explorer(stage: GridStage, points: Points, start: Parameters, seed: int) -> Explorer:
    match stage.mode:
        case "per-class":
            return PerClass(points, start, replicates=stage.replicates)
        case "joint":
            return Together.joint(points, start, replicates=stage.replicates)
        case "symmetric" if stage.shared:
            return Together.shared(points, start, replicates=stage.replicates)
        case _:
            return ClassParallel(points, start, seed=seed, replicates=stage.replicates)

"""Stages of the task ``calf``: search, grid, and comparisons over seeds."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from hpo.config.sections import Number, Seconds, Section, broken_rule
from hpo.config.stages import FinalStage, SearchStage, Stage, Stages
from hpo.tasks.calf.sections import Hyperparameters

GridValues = Annotated[tuple[Seconds, ...], Field(strict=False, min_length=1)]
Factor = Annotated[Number, Field(gt=0, le=1000)]


class ClassGrid(Section):
    """Values of the slicing parameters to combine, in seconds from an action."""

    K1_s: GridValues = Field(default=(-40.0, -20.0, -10.0))
    """Values of K1, below 0."""
    K2_s: GridValues = Field(default=(-20.0, -10.0, -5.0))
    """Values of K2, below 0."""
    K3_s: GridValues = Field(default=(5.0, 10.0, 30.0, 60.0))
    """Values of K3, above 0."""
    K4_s: GridValues = Field(default=(10.0, 20.0, 60.0, 90.0))
    """Values of K4, above 0."""

    @model_validator(mode="after")
    def _lies_on_its_side_of_the_action(self) -> Self:
        for name, values in (("K1_s", self.K1_s), ("K2_s", self.K2_s)):
            if max(values) >= 0:
                raise broken_rule(
                    f"{name} lies before the action: expected numbers below 0, got {max(values):g}"
                )
        for name, values in (("K3_s", self.K3_s), ("K4_s", self.K4_s)):
            if min(values) <= 0:
                raise broken_rule(
                    f"{name} lies after the action: expected numbers above 0, got {min(values):g}"
                )
        if min(self.K1_s) >= max(self.K2_s) or min(self.K3_s) >= max(self.K4_s):
            raise broken_rule("no point of the grid satisfies K1 < K2 < 0 < K3 < K4")
        return self


GridMode = Literal["class-parallel", "per-class", "symmetric", "joint"]
"""Strategy that explores the grid."""


class GridStage(Stage):
    """The grid over the slicing parameters, starting from the best configuration of the search."""

    mode: GridMode = "class-parallel"
    """Strategy. ``class-parallel``: a trial changes all classes, each judged by its own AP; ``per-class``:
    one class at a time; ``symmetric``: K1 = 2 K2 = -2 K3 = -K4; ``joint``: every combination of classes."""
    grid: dict[str, ClassGrid] = Field(default={"default": ClassGrid()}, min_length=1)
    """Class -> values; ``default`` applies to classes that are not named. Without it, those have the usual
    values."""
    symmetric_s: GridValues = (2.5, 5.0, 10.0, 20.0, 40.0)
    """Values of K3 in the symmetric grid, in seconds."""
    shared: bool = False
    """True to use the same value for all classes in the symmetric grid, judged by Average-mAP."""
    replicates: int = Field(default=1, ge=1)
    """Seeds per point; its score is the average. ``class-parallel`` spends those after the first one on the
    better half of each class's points, then on the better quarter, and so on."""
    seeds: int = Field(default=3, ge=1)
    """Seeds for the final comparison of the combined winners with the start."""

    @field_validator("symmetric_s")
    @classmethod
    def _lies_after_the_action(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if min(values) <= 0:
            raise broken_rule(f"K3 lies after the action: expected numbers above 0, got {min(values):g}")
        return values

    @property
    def judges_classes(self) -> bool:
        """Whether each class is judged by its own AP, not the whole configuration by its score."""
        return self.mode in ("class-parallel", "per-class") or (self.mode == "symmetric" and not self.shared)


class AblationStage(Stage):
    """The ablation of Table 2 of the paper."""

    seeds: int = Field(default=3, ge=2)
    """Seeds per configuration."""


class SensitivityStage(Stage):
    """The sensitivity to each slicing parameter of each class, with the others fixed."""

    factors: Annotated[tuple[Factor, ...], Field(strict=False, min_length=1)] = (0.25, 0.5, 0.75, 1.5, 2.0)
    """Factors of the parameter's value; results that break the order K1 < K2 < 0 < K3 < K4 are omitted."""
    seeds: int = Field(default=2, ge=1)
    """Seeds per configuration."""


class LambdaSweepStage(Stage):
    """The sweep over lambda_seg of section 7.5."""

    values: Annotated[tuple[Number, ...], Field(strict=False, min_length=1)] = (
        0.01,
        0.1,
        1.0,
        1.5,
        10.0,
        100.0,
    )
    """Values of lambda_seg."""
    seeds: int = Field(default=2, ge=1)
    """Seeds per value."""


class CalfSearch(SearchStage):
    """The joint search over the hyperparameters of network and loss."""

    hyperparameters = Hyperparameters


class CalfStages(Stages):
    """Stages of a study; all except the search have defaults."""

    bayes: CalfSearch | None = None
    grid_slicing: GridStage = Field(default=GridStage(), alias="grid-slicing")
    final: FinalStage = FinalStage()
    ablation: AblationStage = AblationStage()
    sensitivity: SensitivityStage = SensitivityStage()
    lambda_sweep: LambdaSweepStage = Field(default=LambdaSweepStage(), alias="lambda-sweep")

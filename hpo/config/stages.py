"""The stages of a study file: searches with their spaces, grids, and comparisons over seeds."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails

from hpo.config.sections import Hyperparameters, Number, Seconds, Section, broken_rule, expected
from hpo.space.parameters import ChoiceParameter, FloatParameter, IntParameter, Parameter
from model.errors import ConfigError

SearcherName = Literal["bayes-opt", "optuna-gp", "optuna-tpe", "random"]
SchedulerName = Literal["none", "asha", "median"]
GridValues = Annotated[tuple[Seconds, ...], Field(strict=False, min_length=1)]
Factor = Annotated[Number, Field(gt=0, le=1000)]


def _hyperparameter(name: object) -> object:
    if name not in Hyperparameters.model_fields:
        raise expected(f"one of {', '.join(Hyperparameters.model_fields)}")
    return name


def _auto_or_count(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise expected('the word "auto" or a whole number above 0')


ArraySize = Annotated[Literal["auto"] | int, BeforeValidator(_auto_or_count)]
HyperparameterName = Annotated[str, BeforeValidator(_hyperparameter)]


class DeclaredParameter(Section, ABC):
    """A hyperparameter that a stage searches over."""

    @abstractmethod
    def named(self, name: str) -> Parameter:
        """The parameter of a space that this declares."""

    @abstractmethod
    def extremes(self) -> tuple[int | float, ...]:
        """Values that decide whether every value is allowed."""

    @model_validator(mode="after")
    def _declares_a_parameter(self) -> Self:
        try:
            self.named("")
        except ConfigError as error:
            raise broken_rule(error.message) from None
        return self


class FloatRange(DeclaredParameter):
    """Any number between two bounds."""

    type: Literal["float"]
    low: float
    high: float
    log: bool = False

    def named(self, name: str) -> FloatParameter:
        """The parameter of a space that this declares."""
        return FloatParameter(name, self.low, self.high, self.log)

    def extremes(self) -> tuple[float, ...]:
        """The bounds."""
        return self.low, self.high


class IntRange(DeclaredParameter):
    """Any whole number between two bounds."""

    type: Literal["int"]
    low: int
    high: int
    log: bool = False

    def named(self, name: str) -> IntParameter:
        """The parameter of a space that this declares."""
        return IntParameter(name, self.low, self.high, self.log)

    def extremes(self) -> tuple[int, ...]:
        """The bounds."""
        return self.low, self.high


class Choice(DeclaredParameter):
    """One of several values."""

    type: Literal["choice"]
    choices: Annotated[tuple[Number, ...], Field(strict=False)]

    def named(self, name: str) -> ChoiceParameter:
        """The parameter of a space that this declares."""
        return ChoiceParameter(name, self.choices)

    def extremes(self) -> tuple[int | float, ...]:
        """The choices."""
        return self.choices


class Stage(Section):
    """What all stages have in common."""

    concurrent: int = Field(default=1, ge=1)
    """Trials that run at the same time."""
    array: ArraySize = "auto"
    """How many of them are trained together in one process; ``auto``: as many as goes fastest."""
    epochs: int | None = Field(default=None, ge=1)
    """Of the stage's trials; left out: as the study's training says."""


class SearchStage(Stage):
    """A search over a space: ``trials`` points, each trained with ``replicates`` seeds."""

    searcher: SearcherName = "bayes-opt"
    trials: int = Field(ge=1)
    replicates: int = Field(default=1, ge=1)
    """Seeds of a point; its score is their mean."""
    scheduler: SchedulerName = "none"
    """Stops poor trials early: ``asha`` those below the best share of all that came as far, ``median`` those
    whose best validation lies below the median of the others' means so far."""
    grace_epochs: int | None = Field(default=None, ge=1)
    """No trial is stopped before; left out: a tenth of its epochs."""
    reduction_factor: float = Field(default=4.0, gt=1)
    """Of ``asha``: about one trial in so many passes a rung. The first rung is at ``grace_epochs``, the next
    so many times as far, and so on. Ray's default."""
    space: dict[
        HyperparameterName, Annotated[FloatRange | IntRange | Choice, Field(discriminator="type")]
    ] = Field(min_length=1)

    @field_validator("space")
    @classmethod
    def _holds_legal_values(cls, space: dict[str, DeclaredParameter]) -> dict[str, DeclaredParameter]:
        faults = [fault for name, declared in space.items() for fault in _illegal_values(name, declared)]
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, faults)
        return space

    @model_validator(mode="after")
    def _has_one_seed_where_trials_are_stopped(self) -> Self:
        if self.scheduler != "none" and self.replicates > 1:
            raise broken_rule(
                f'scheduler "{self.scheduler}" needs replicates = 1, got {self.replicates}: the score of a '
                f"point is the mean over its seeds, which means nothing when they end at different epochs"
            )
        return self

    def grace(self, epochs: int) -> int:
        """How many of a trial's ``epochs`` are trained in any case.

        Raises:
            ConfigError: All of them.
        """
        if self.grace_epochs is None:
            return math.ceil(epochs / 10)
        if self.grace_epochs >= epochs:
            raise ConfigError(
                f'scheduler "{self.scheduler}" could stop nothing: expected grace_epochs below the {epochs} '
                f"epochs of a trial, got {self.grace_epochs}"
            )
        return self.grace_epochs


def _illegal_values(name: str, declared: DeclaredParameter) -> Iterator[InitErrorDetails]:
    """What is wrong with the values of ``declared`` as values of the hyperparameter ``name``."""
    for value in declared.extremes():
        try:
            Hyperparameters.model_validate({name: value})
        except ValidationError as error:
            for fault in error.errors():
                if fault["loc"] == (name,):
                    yield InitErrorDetails(
                        type=fault["type"], loc=(name,), input=value, ctx=fault.get("ctx", {})
                    )


class ClassGrid(Section):
    """Values of the slicing parameters to combine, in seconds from an action."""

    K1_s: GridValues = Field(default=(-40.0, -20.0, -10.0))
    K2_s: GridValues = Field(default=(-20.0, -10.0, -5.0))
    K3_s: GridValues = Field(default=(5.0, 10.0, 30.0, 60.0))
    K4_s: GridValues = Field(default=(10.0, 20.0, 60.0, 90.0))

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


class GridStage(Stage):
    """The grid over the slicing parameters, from the best trial of the search before."""

    mode: GridMode = "class-parallel"
    """``class-parallel``: a trial moves all classes, each judged by its own AP; ``per-class``: one class at a
    time; ``symmetric``: K1 = 2 K2 = -2 K3 = -K4; ``joint``: every combination of all classes."""
    grid: dict[str, ClassGrid] = Field(default={"default": ClassGrid()}, min_length=1)
    """Values for each class; ``default`` holds for classes that are not named."""
    symmetric_s: GridValues = (2.5, 5.0, 10.0, 20.0, 40.0)
    """K3 of the symmetric grid."""
    shared: bool = False
    """Whether all classes take the same value of the symmetric grid, judged by Average-mAP."""
    replicates: int = Field(default=1, ge=1)
    """Seeds of a point; it is judged by its mean."""
    seeds: int = Field(default=3, ge=1)
    """With which the winners put together are confirmed against the starting point."""


class FinalStage(Stage):
    """The best configurations again, with several seeds, and the test split."""

    candidates: int = Field(default=2, ge=1)
    """How many of the configurations found are compared with the study file's own."""
    seeds: int = Field(default=5, ge=2)


class AblationStage(Stage):
    """Table 2 of the paper."""

    seeds: int = Field(default=3, ge=2)


class SensitivityStage(Stage):
    """Each slicing parameter of each class varied, the others held."""

    factors: Annotated[tuple[Factor, ...], Field(strict=False, min_length=1)] = (0.25, 0.5, 0.75, 1.5, 2.0)
    """Of the parameter's value in the optimum; values that would break the order are left out."""
    seeds: int = Field(default=2, ge=1)


class LambdaSweepStage(Stage):
    """Section 7.5: lambda_seg over several powers of ten."""

    values: Annotated[tuple[Number, ...], Field(strict=False, min_length=1)] = (
        0.01,
        0.1,
        1.0,
        1.5,
        10.0,
        100.0,
    )
    seeds: int = Field(default=2, ge=1)


class Stages(Section):
    """The steps of a study; all but the search may be left out and have defaults."""

    bayes: SearchStage
    grid_slicing: GridStage = Field(default=GridStage(), alias="grid-slicing")
    final: FinalStage = FinalStage()
    ablation: AblationStage = AblationStage()
    sensitivity: SensitivityStage = SensitivityStage()
    lambda_sweep: LambdaSweepStage = Field(default=LambdaSweepStage(), alias="lambda-sweep")

    def named(self, name: str) -> Stage:
        """The stage that files and the command line call ``name``."""
        stage: Stage = getattr(self, name.replace("-", "_"))
        return stage


STAGE_NAMES = tuple(field.alias or name for name, field in Stages.model_fields.items())

"""The stages of a study file, whatever the task: what they have in common, searches and finals."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from hpo.config.sections import Number, Section, broken_rule, expected
from hpo.space.parameters import ChoiceParameter, FloatParameter, IntParameter, Parameter
from model.errors import ConfigError

SEARCH = "bayes"
"""Name of the stage that searches a space, in every task."""
SearcherName = Literal["bayes-opt", "optuna-gp", "optuna-tpe", "random"]
SchedulerName = Literal["none", "asha", "median"]


def _auto_or_count(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise expected('the word "auto" or a whole number above 0')


ArraySize = Annotated[Literal["auto"] | int, BeforeValidator(_auto_or_count)]


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
    space: dict[str, Annotated[FloatRange | IntRange | Choice, Field(discriminator="type")]] = Field(
        min_length=1
    )

    hyperparameters: ClassVar[type[Section]]
    """What a space may name, and which values are legal."""

    @field_validator("space", mode="wrap")
    @classmethod
    def _names_hyperparameters(
        cls, space: object, validate: ValidatorFunctionWrapHandler
    ) -> dict[str, DeclaredParameter]:
        known = cls.hyperparameters.model_fields
        rule = expected(f"one of {', '.join(known)}")
        unknown = [name for name in space if name not in known] if isinstance(space, Mapping) else []
        faults = [InitErrorDetails(type=rule, loc=(str(name),), input=name) for name in unknown]
        try:
            declared: dict[str, DeclaredParameter] = validate(space)
        except ValidationError as error:
            cls._refuse([*map(_repeated, error.errors()), *faults])
            raise
        cls._refuse(faults)
        return declared

    @field_validator("space")
    @classmethod
    def _holds_legal_values(cls, space: dict[str, DeclaredParameter]) -> dict[str, DeclaredParameter]:
        cls._refuse(
            [
                fault
                for name, declared in space.items()
                for fault in _illegal_values(name, declared, cls.hyperparameters)
            ]
        )
        return space

    @classmethod
    def _refuse(cls, faults: list[InitErrorDetails]) -> None:
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, faults)

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


class FinalStage(Stage):
    """The best configurations again, with several seeds, and the test split."""

    candidates: int = Field(default=2, ge=1)
    """How many of the configurations found are compared with the study file's own."""
    seeds: int = Field(default=5, ge=2)


def _repeated(fault: ErrorDetails) -> InitErrorDetails:
    """An error that pydantic found, to be raised together with others."""
    details = fault.get("ctx", {})
    match fault["type"]:
        case "expected":
            rule: str | PydanticCustomError = expected(details["what"])
        case "broken_rule":
            rule = broken_rule(details["message"])
        case known:
            rule = known
    return InitErrorDetails(type=rule, loc=fault["loc"], input=fault["input"], ctx=details)


def _illegal_values(
    name: str, declared: DeclaredParameter, hyperparameters: type[Section]
) -> Iterator[InitErrorDetails]:
    """What is wrong with the values of ``declared`` as values of the hyperparameter ``name``."""
    for value in declared.extremes():
        try:
            hyperparameters.model_validate({name: value})
        except ValidationError as error:
            for fault in error.errors():
                if fault["loc"] == (name,):
                    yield InitErrorDetails(
                        type=fault["type"], loc=(name,), input=value, ctx=fault.get("ctx", {})
                    )


class Stages(Section):
    """The steps of a study."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """As files and the command line call them."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())

    def named(self, name: str) -> Stage:
        """The stage that files and the command line call ``name``.

        Raises:
            ConfigError: The task has no such stage, or the study file lacks one that has no default.
        """
        if name not in self.names():
            raise ConfigError(f"this task has no stage {name!r}", known=", ".join(self.names()))
        stage: Stage | None = getattr(self, name.replace("-", "_"))
        if stage is None:
            raise ConfigError(f"the study file has no table [stages.{name}], which has no default")
        return stage

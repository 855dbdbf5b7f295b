"""Stages of a study file that every task can use: the base class, searches and finals."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from hpo.config.sections import NumberOrText, Section, broken_rule, expected
from hpo.space.parameters import (
    ChoiceParameter,
    Condition,
    FloatParameter,
    IntParameter,
    Parameter,
    Value,
)
from hpo.space.space import Space
from model.documents import is_number
from model.errors import ConfigError
from model.training.schedule import TrainingSchedule

SEARCH = "bayes"
"""Name of the search stage in every task."""
ROUNDS = 4
"""Least number of rounds, one after the other, of a search that learns from results."""
SearcherName = Literal["bayes-opt", "botorch", "optuna-gp", "optuna-tpe", "random"]
SchedulerName = Literal["none", "asha", "median"]
SEARCHERS_WITH_GAIN = ("bayes-opt", "botorch")
"""Searchers whose model estimates what further trials bring."""
SEARCHERS_WITH_PRIOR = ("botorch",)
"""Searchers whose model can start from scores with other data, settings or code."""


def _auto_or_count(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise expected('"auto" or a whole number above 0')


def _until_decided_or_count(value: object) -> object:
    if value == "until decided" or (isinstance(value, int) and not isinstance(value, bool) and value >= 2):
        return value
    raise expected('"until decided" or a whole number above 1')


SeedCount = Annotated[Literal["until decided"] | int, BeforeValidator(_until_decided_or_count)]
AutoCount = Annotated[Literal["auto"] | int, BeforeValidator(_auto_or_count)]


def numbers(values: Iterable[Value]) -> list[float]:
    """Return those of ``values`` that are numbers."""
    return [value for value in values if not isinstance(value, str)]


class DeclaredParameter(Section, ABC):
    """Base class of hyperparameters that a stage searches over."""

    when: dict[str, NumberOrText] = Field(default_factory=dict)
    """Choices of the space for which the hyperparameter is searched; otherwise it has the study file's value.
    Default: always."""

    @property
    def condition(self) -> Condition:
        """Values that other hyperparameters must have for this one to be searched."""
        return tuple(self.when.items())

    @abstractmethod
    def to_parameter(self, name: str) -> Parameter:
        """Convert the declaration into the parameter ``name`` of a search space."""

    @abstractmethod
    def extremes(self) -> tuple[Value, ...]:
        """Return the values to check: if these are valid, all values are."""

    @model_validator(mode="after")
    def _declares_a_parameter(self) -> Self:
        try:
            self.to_parameter("")
        except ConfigError as error:
            raise broken_rule(error.message) from None
        return self


class FloatRange(DeclaredParameter):
    """A real number between two bounds, both included."""

    type: Literal["float"]
    """Kind of the declaration."""
    low: float
    """Lower bound."""
    high: float
    """Upper bound."""
    log: bool = False
    """True for a logarithmic scale, on which equal ratios are equally far apart; it needs ``low`` above 0."""

    def to_parameter(self, name: str) -> FloatParameter:
        """Convert the declaration into the parameter ``name`` of a search space."""
        return FloatParameter(name, self.low, self.high, self.log, self.condition)

    def extremes(self) -> tuple[float, ...]:
        """Return the lower and the upper bound."""
        return self.low, self.high


class IntRange(DeclaredParameter):
    """A whole number between two bounds, both included."""

    type: Literal["int"]
    """Kind of the declaration."""
    low: int
    """Lower bound."""
    high: int
    """Upper bound."""
    log: bool = False
    """True for a logarithmic scale, on which equal ratios are equally far apart; it needs ``low`` above 0."""

    def to_parameter(self, name: str) -> IntParameter:
        """Convert the declaration into the parameter ``name`` of a search space."""
        return IntParameter(name, self.low, self.high, self.log, self.condition)

    def extremes(self) -> tuple[int, ...]:
        """Return the lower and the upper bound."""
        return self.low, self.high


class Choice(DeclaredParameter):
    """One value of a list. Numbers are ordered as in the list, texts are not."""

    type: Literal["choice"]
    """Kind of the declaration."""
    choices: Annotated[tuple[NumberOrText, ...], Field(strict=False)]
    """Different values, one or more."""

    def to_parameter(self, name: str) -> ChoiceParameter:
        """Convert the declaration into the parameter ``name`` of a search space."""
        return ChoiceParameter(name, self.choices, self.condition)

    def extremes(self) -> tuple[Value, ...]:
        """Return all choices."""
        return self.choices


def _one_value_as_choice(declared: object) -> object:
    is_value = is_number(declared) or isinstance(declared, str)
    return {"type": "choice", "choices": [declared]} if is_value else declared


Declared = Annotated[
    FloatRange | IntRange | Choice, Field(discriminator="type"), BeforeValidator(_one_value_as_choice)
]


class Stage(Section):
    """Settings that every stage has."""

    concurrent: AutoCount = "auto"
    """Number of trials that run at the same time. ``auto``: on a processor 1; on GPUs as many as the measured
    arrays hold and the stage can use."""
    array: AutoCount = "auto"
    """Number of trials that one process trains together. ``auto``: measure which number is fastest."""
    epochs: int | None = Field(default=None, ge=1)
    """Epochs of each trial of the stage. Default: ``training.epochs``."""
    hours: float | None = Field(default=None, gt=0)
    """Time limit in hours, counted over all its sessions. No trial starts that would not finish in time.
    A search then ends with the trials that it has if other stages follow. Default: no limit."""

    def useful_at_once(self) -> int | None:
        """Return the largest number of trials that the stage can use at the same time; None: no limit."""
        return None


class SearchStage(Stage):
    """A search over a space: ``trials`` configurations, each trained with ``replicates`` seeds."""

    searcher: SearcherName = "botorch"
    """Algorithm that proposes configurations. ``botorch`` also learns from trials that are running or were
    stopped; ``bayes-opt`` is the procedure of the paper, with ``scheduler = "none"``."""
    trials: int = Field(ge=1)
    """Number of configurations to try."""
    replicates: int = Field(default=1, ge=1)
    """Seeds per configuration; its score is the average. With a scheduler, the largest number of seeds: of
    the configurations that were not stopped, the best in ``reduction_factor`` get another one."""
    scheduler: SchedulerName = "asha"
    """Rule that stops poor trials early. ``asha`` stops a trial outside the best share of the trials that
    reached the same epoch; ``median`` stops a trial whose best validation lies below the median of the other
    trials' running averages."""
    grace_epochs: int | None = Field(default=None, ge=1)
    """Epochs that every trial trains before it can be stopped. Default: 1/10 of its epochs."""
    reduction_factor: float = Field(default=4.0, gt=1)
    """Reduction factor of ``asha``: about one trial in ``reduction_factor`` continues after a rung. Rungs lie
    at ``grace_epochs`` times 1, ``reduction_factor``, ``reduction_factor`` squared, ... The default is
    Ray's."""
    stop_when: Literal["never", "unlikely"] = "never"
    """``unlikely``: the search ends before its last trial when further trials are expected to gain less than
    the noise between seeds, by the model of the searcher, in several estimates in a row."""
    space: dict[str, Declared] = Field(min_length=1)
    """Hyperparameters to search over, by name; one that has a single value is fixed."""
    own_first: bool = True
    """Whether the study file's own configuration is tried before all other points. ``botorch`` then also
    prefers points near it, with less weight as scores arrive."""
    tried: tuple[dict[str, NumberOrText], ...] = Field(default=(), strict=False, alias="try")
    """Points to try before those of the searcher, under names or symbols, as in ``--try FILE``. Missing
    values come from the study file's own configuration."""

    hyperparameters: ClassVar[type[Section]]
    """Hyperparameters that a space may name, with their valid values."""

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

    @field_validator("space")
    @classmethod
    def _has_choices_for_conditions(cls, space: dict[str, DeclaredParameter]) -> dict[str, DeclaredParameter]:
        try:
            Space([declared.to_parameter(name) for name, declared in space.items()])
        except ConfigError as error:
            rule = broken_rule(error.message)
            cls._refuse([InitErrorDetails(type=rule, loc=(error.details["parameter"],), input=space)])
        return space

    @classmethod
    def _refuse(cls, faults: list[InitErrorDetails]) -> None:
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, faults)

    @model_validator(mode="after")
    def _has_a_model_where_gains_are_estimated(self) -> Self:
        if self.stop_when == "unlikely" and self.searcher not in SEARCHERS_WITH_GAIN:
            raise broken_rule(
                f'stop_when "unlikely" needs a searcher that estimates the gain of further trials: expected '
                f'searcher {" or ".join(SEARCHERS_WITH_GAIN)}, got "{self.searcher}"'
            )
        return self

    def useful_at_once(self) -> int:
        """Return a quarter of the configurations, so that most proposals learn from results; random: all."""
        rounds = 1 if self.searcher == "random" else ROUNDS
        return max(1, self.trials // rounds) * self.replicates

    def first_stop(self, schedule: TrainingSchedule) -> int | None:
        """Return the first epoch whose validation can stop a trial; None if none before the last epoch can.

        Raises:
            ConfigError: ``grace_epochs`` is not below the epochs of a trial.
        """
        if self.scheduler == "none":
            return None
        first = schedule.next_validation(self.grace(schedule.epochs) - 1)
        return first if first < schedule.epochs else None

    def grace(self, epochs: int) -> int:
        """Return how many of a trial's ``epochs`` it trains before it can be stopped.

        Raises:
            ConfigError: ``grace_epochs`` is not below ``epochs``, so that no trial could be stopped.
        """
        if self.grace_epochs is None:
            return math.ceil(epochs / 10)
        if self.grace_epochs >= epochs:
            raise ConfigError(
                f'scheduler "{self.scheduler}" could not stop any trial: expected grace_epochs below the '
                f"{epochs} epochs of a trial, got {self.grace_epochs}"
            )
        return self.grace_epochs


class FinalStage(Stage):
    """Retrains the best configurations with several seeds and evaluates them on the test split."""

    candidates: int = Field(default=2, ge=1)
    """Number of found configurations to compare with the study file's own."""
    seeds: SeedCount = 5
    """Seeds per configuration. ``until decided``: configurations that are surely worse than the best one get
    no further seeds, and the stage ends when one is left or after ``most_seeds``."""
    most_seeds: int = Field(default=20, ge=3)
    """Maximum number of seeds per configuration with ``until decided``."""


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
    """Base class of the tables ``[stages.NAME]``; each field is one stage."""

    how_to_have: ClassVar[Mapping[str, str]] = {}
    """Stages that the task lacks -> what to do in order to have them."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of all stages, as used in study files and on the command line."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())

    def named(self, name: str) -> Stage:
        """Return the settings of stage ``name``, as used in study files and on the command line.

        Raises:
            ConfigError: The task has no such stage, or its table is missing and has no default.
        """
        self.require([name])
        stage: Stage = getattr(self, name.replace("-", "_"))
        return stage

    def require(self, names: Iterable[str]) -> None:
        """Check that the stages ``names`` have settings.

        Raises:
            ConfigError: The task has no such stage, or the study file lacks tables that have no default; the
                error lists all of them with the keys that they need.
        """
        for name in names:
            if name not in self.names():
                fix = {"fix": self.how_to_have[name]} if name in self.how_to_have else {}
                raise ConfigError(f"this task has no stage {name!r}", known=", ".join(self.names()), **fix)
        missing = [name for name in names if getattr(self, name.replace("-", "_")) is None]
        if missing:
            tables = " and ".join(f"[stages.{name}]" for name in missing)
            error = ConfigError(f"the study file needs {tables} for what is to run")
            for name in missing:
                keys = ", ".join(self._required_keys(name))
                error.details[f"[stages.{name}]"] = f"missing (needs {keys})"
            raise error

    @classmethod
    def _required_keys(cls, name: str) -> Iterator[str]:
        """Return the keys without default of the table of a stage."""
        for model in get_args(cls.model_fields[name.replace("-", "_")].annotation):
            if isinstance(model, type) and issubclass(model, Stage):
                for key, field in model.model_fields.items():
                    if field.is_required():
                        yield key

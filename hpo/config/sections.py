"""Base classes and value types of the tables in study files, shared by all tasks."""

import math
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from model.documents import is_number
from model.training.schedule import TrainingSchedule

VALIDATIONS = 20
"""Default number of validations in a trial. A killed process loses at most 1/20 of its trial."""
LONGEST_S = 86_400.0
"""Longest duration that a study file accepts, in seconds: one day. Longer values are mistakes."""


def expected(what: str) -> PydanticCustomError:
    """Make an error that says ``what`` was expected; ``describe_faults`` adds the value that was given."""
    return PydanticCustomError("expected", "{what}", {"what": what})


def broken_rule(message: str) -> PydanticCustomError:
    """Make an error about a combination of values; ``message`` names the values."""
    return PydanticCustomError("broken_rule", "{message}", {"message": message})


def _number(value: object) -> object:
    if not is_number(value):
        raise expected("a number")
    return value


def _number_or_text(value: object) -> object:
    if not is_number(value) and not isinstance(value, str):
        raise expected("a number or text")
    # Half of a character, as Python makes it of file names that are not UTF-8: nothing could write it.
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise expected("text that UTF-8 can hold")
    return value


def _seconds(value: object) -> object:
    if is_number(value) and abs(value) <= LONGEST_S:
        return value
    raise expected("a number of seconds, at most 86400 (one day)")


Number = Annotated[int | float, BeforeValidator(_number)]
NumberOrText = Annotated[int | float | str, BeforeValidator(_number_or_text)]
Seconds = Annotated[int | float, BeforeValidator(_seconds)]


class Section(BaseModel):
    """Base class of tables: immutable, without unknown keys, text in place of numbers, or infinite values."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        # Names as a person writes them, with dashes, in files and out again.
        validate_by_alias=True,
        validate_by_name=False,
        serialize_by_alias=True,
    )


class Training(Section):
    """Training settings that every task has: number of epochs, validation interval, time limit."""

    epochs: int = Field(ge=1)
    """Epochs of a trial: passes over the training data."""
    validate_every: int | None = Field(default=None, ge=1)
    """Epochs between two validations (and checkpoints). Default: 1/20 of the epochs."""
    hangs_after_s: float | None = Field(default=None, gt=0)
    """A trial that reports no validation for this many seconds is killed. It resumes from its checkpoint
    once and fails the second time. Trials that share a process are killed together, continue one by one, and
    fail if they then hang twice more. Include the start of a process, about 20 s. Default: no limit."""

    @property
    def validated_every(self) -> int:
        """Number of epochs between two validations, with the default filled in."""
        return self.validate_every or math.ceil(self.epochs / VALIDATIONS)

    @property
    def schedule(self) -> TrainingSchedule:
        """Epochs of a trial and interval of its validations."""
        return TrainingSchedule(epochs=self.epochs, validate_every=self.validated_every)

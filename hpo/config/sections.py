"""What all tables of study files have in common, whatever the task."""

import math
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

VALIDATIONS = 20
"""Of a trial, where the study file does not say how often: what a kill can cost is a twentieth of it."""
LONGEST_S = 86_400.0
"""No game and nothing within one lasts longer; what does is a mistake, and may be too large for frames."""


def expected(what: str) -> PydanticCustomError:
    """An error saying that ``what`` was expected; the value that came is added by the reader."""
    return PydanticCustomError("expected", "{what}", {"what": what})


def broken_rule(message: str) -> PydanticCustomError:
    """An error about several values together; ``message`` names them."""
    return PydanticCustomError("broken_rule", "{message}", {"message": message})


def is_number(value: object) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: object) -> object:
    if not is_number(value):
        raise expected("a number")
    return value


def _seconds(value: object) -> object:
    if isinstance(value, int | float) and is_number(value) and abs(value) <= LONGEST_S:
        return value
    raise expected("a number of seconds, a day at most")


Number = Annotated[int | float, BeforeValidator(_number)]
Seconds = Annotated[int | float, BeforeValidator(_seconds)]


class Section(BaseModel):
    """A table: no unknown keys, no text for numbers, nothing infinite, never changed."""

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
    """How long a trial trains, and how often it is validated."""

    epochs: int = Field(ge=1)
    validate_every: int | None = Field(default=None, ge=1)
    """Epochs between two validations, and so between two checkpoints; left out: a twentieth of them."""
    hangs_after_s: float | None = Field(default=None, gt=0)
    """A trial that tells no validation for so long hangs: its process is killed, and it goes on from its
    checkpoint once before it fails. The start of the process counts, some 20 s. Left out: no trial hangs."""

    @property
    def validated_every(self) -> int:
        """Epochs between two validations, as a number."""
        return self.validate_every or math.ceil(self.epochs / VALIDATIONS)

"""Events of a study: one frozen record a kind, one line of JSON an event."""

import json
import math
import uuid
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails

from model.documents import parse_json

# JSON has no word for these; a diverged trial has them in its losses.
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _now() -> datetime:
    return datetime.now(UTC)


def _moment(text: object) -> datetime:
    if not isinstance(text, str):
        raise ValueError(f"expected a moment in ISO format under 'at', got {text!r:.60}")
    try:
        moment = datetime.fromisoformat(text)
        in_utc = moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter in the first and last hours of the calendar
        raise ValueError(f"expected a moment in ISO format within UTC's calendar, got {text!r:.60}") from None
    if moment.tzinfo is None:
        raise ValueError(f"expected a moment with its time zone, got {text!r:.60}")
    return in_utc


def _read_number(value: object) -> object:
    return _NOT_FINITE.get(value, value) if isinstance(value, str) else value


def _written_number(value: float) -> float | str:
    number = float(value)
    return number if math.isfinite(number) else json.dumps(number)


# bool is an int in Python, but not in a journal.
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict(), BeforeValidator(_read_number), PlainSerializer(_written_number)]
Moment = Annotated[
    datetime, PlainValidator(_moment), PlainSerializer(lambda at: at.isoformat(timespec="microseconds"))
]
Value = int | float | str
"""A hyperparameter's value."""
Point = dict[str, Whole | Annotated[float, Strict()] | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at a moment; the base of all kinds below."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    event: str
    """Which of the kinds below, as it is written."""
    at: Moment = field(default_factory=_now)
    """When, in UTC with microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCreated(Event):
    """The first event of every journal."""

    event: Literal["study-created"] = "study-created"
    study: str
    plan: dict[str, Any]
    """The resolved study file and whatever else a resume must find again, as plain JSON."""
    seed: Whole
    data_digest: str
    code_digest: str
    versions: dict[str, str]
    """Versions of Python and of the packages that results depend on."""
    identity: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Tells this study from others of the same name in one MLflow store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResumed(Event):
    """A process took the study up again."""

    event: Literal["study-resumed"] = "study-resumed"
    versions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAsked(Event):
    """A person asked for a stage; it runs after those asked before."""

    event: Literal["stage-asked"] = "stage-asked"
    stage: str
    settings: dict[str, Any]
    """Its table in the study file, with what was typed put in."""
    start: Point = field(default_factory=dict)
    """The configuration it starts from; empty: what the stages before it found."""
    known: dict[str, Any] = field(default_factory=dict)
    """Scores of an earlier study that a search learns from, as ``hpo.study.warm_start`` writes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted(Event):
    """A stage began, with the space it searches."""

    event: Literal["stage-started"] = "stage-started"
    stage: str
    space: dict[str, Any]
    trials: Whole
    """How many trials the stage plans at most."""
    epochs: Whole = 0
    """Of each of them."""
    start: Point = field(default_factory=dict)
    """The configuration it starts from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialAsked(Event):
    """The searcher proposed hyperparameters."""

    event: Literal["trial-asked"] = "trial-asked"
    trial: str
    stage: str
    parameters: Point
    seed: Whole
    replicate: Whole = 0
    """How far the seed is from the study's."""
    role: str = ""
    """What the trial is in its stage, such as the name of a row of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted(Event):
    """A trial began to train, or went on from its checkpoint after a restart."""

    event: Literal["trial-started"] = "trial-started"
    trial: str
    host: str
    device: str
    threads: Whole = 0
    """Processor threads it trains with, on which the last bits of its numbers depend; 0: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReported(Event):
    """A trial was validated."""

    event: Literal["trial-reported"] = "trial-reported"
    trial: str
    epoch: Whole
    """Epochs trained so far."""
    metrics: dict[str, Number]
    train_s: Number
    """Seconds of training so far, validation not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFinished(Event):
    """A trial used up its epochs."""

    event: Literal["trial-finished"] = "trial-finished"
    trial: str
    score: Number
    """On the validation split, in [0, 1], of the best validation."""
    epoch: Whole
    """The epoch of that validation."""
    duration_s: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStopped(Event):
    """A trial was poor beside others at the same epoch and ended before its time.

    A kind of its own, not a mark on ``TrialFinished``: that goes on meaning that all epochs were trained,
    for every reader.
    """

    event: Literal["trial-stopped"] = "trial-stopped"
    trial: str
    score: Number
    """On the validation split, in [0, 1], of the best validation before the stop."""
    epoch: Whole
    """The epoch of that validation."""
    duration_s: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed(Event):
    """Something that a person should know, and that stopped nothing."""

    event: Literal["noticed"] = "noticed"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFailed(Event):
    """A trial diverged or crashed; the study goes on."""

    event: Literal["trial-failed"] = "trial-failed"
    trial: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTested(Event):
    """The test split was opened for a finished trial, once."""

    event: Literal["trial-tested"] = "trial-tested"
    trial: str
    metrics: dict[str, Number]
    """As of a validation, on the test split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFinished(Event):
    """A stage ended."""

    event: Literal["stage-finished"] = "stage-finished"
    stage: str
    best_trial: str
    """Empty when no trial of the stage finished."""
    chosen: Point = field(default_factory=dict)
    """The configuration that it hands on, complete."""
    role: str = ""
    """Of the trials with this configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyInterrupted(Event):
    """The process stopped in good order before the end."""

    event: Literal["study-interrupted"] = "study-interrupted"
    reason: str


_Kinds = (
    StudyCreated
    | StudyResumed
    | StageAsked
    | StageStarted
    | TrialAsked
    | TrialStarted
    | TrialReported
    | TrialFinished
    | TrialStopped
    | TrialFailed
    | Noticed
    | TrialTested
    | StageFinished
    | StudyInterrupted
)
# A new event makes these up; one that is read must have them, or they would differ at each reading.
_MADE_UP = ("at", "identity")


@cache
def _codec() -> TypeAdapter[Event]:
    return TypeAdapter(Annotated[_Kinds, Field(discriminator="event")])


def to_json(event: Event) -> str:
    """One line of standard JSON without its line end; ``from_json`` gives the event back.

    Raises:
        ValueError: ``plan``, ``space`` or ``parameters`` hold a number that is not finite.
    """
    return json.dumps(_codec().dump_python(event, warnings=False), allow_nan=False)


def from_json(line: str | bytes) -> Event:
    """Read an event.

    Raises:
        ValueError: The line is no JSON object, its kind is unknown, or a field is missing, unknown
            or of another type than expected.
    """
    record = parse_json(line)
    if not isinstance(record, dict):
        raise ValueError(f"expected a JSON object, got {type(record).__name__}")
    try:
        event = _codec().validate_python(record)
    except ValidationError as error:
        raise ValueError(_complaint(record, error.errors(include_url=False))) from None
    for name in _MADE_UP:
        if name not in record and hasattr(event, name):
            raise ValueError(f"{event.event} lacks {name}")
    return event


def _complaint(record: dict[str, Any], problems: list[ErrorDetails]) -> str:
    kind = record.get("event")
    if not problems[0]["loc"]:
        known = ", ".join(str(fields(kind)[0].default) for kind in get_args(_Kinds))
        return f"expected an event out of {known}, got {kind!r:.60}"
    # A place is the kind, the field, and whatever lies within the field.
    named = [(problem["type"], str(problem["loc"][1]), problem) for problem in problems]
    if missing := sorted(field for problem, field, _ in named if problem == "missing"):
        return f"{kind} lacks {', '.join(missing)}"
    if unknown := sorted(field for problem, field, _ in named if problem == "unexpected_keyword_argument"):
        return f"{kind} has no field {unknown[0]!r:.60}"
    problem, field, details = named[0]
    if problem == "value_error":
        return str(details["ctx"]["error"])
    return f"{kind}.{field} is of another type than expected: {record[field]!r:.60}"

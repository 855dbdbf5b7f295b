"""Events of a study: one frozen record a kind, one line of JSON an event."""

import json
import math
import types
import uuid
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from model.documents import parse_json

Value = int | float | str
"""A hyperparameter's value."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened at a moment; the base of all kinds below."""

    at: datetime = field(default_factory=_now)
    """When, in UTC with microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCreated(Event):
    """The first event of every journal."""

    study: str
    plan: dict[str, Any]
    """The resolved study file and whatever else a resume must find again, as plain JSON."""
    seed: int
    data_digest: str
    code_digest: str
    versions: dict[str, str]
    """Versions of Python and of the packages that results depend on."""
    identity: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Tells this study from others of the same name in one MLflow store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResumed(Event):
    """A process took the study up again."""

    versions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAsked(Event):
    """A person asked for a stage; it runs after those asked before."""

    stage: str
    settings: dict[str, Any]
    """Its table in the study file, with what was typed put in."""
    start: dict[str, Value] = field(default_factory=dict)
    """The configuration it starts from; empty: what the stages before it found."""
    known: dict[str, Any] = field(default_factory=dict)
    """Scores of an earlier study that a search learns from, as ``hpo.study.warm_start`` writes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted(Event):
    """A stage began, with the space it searches."""

    stage: str
    space: dict[str, Any]
    trials: int
    """How many trials the stage plans at most."""
    epochs: int = 0
    """Of each of them."""
    start: dict[str, Value] = field(default_factory=dict)
    """The configuration it starts from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialAsked(Event):
    """The searcher proposed hyperparameters."""

    trial: str
    stage: str
    parameters: dict[str, Value]
    seed: int
    replicate: int = 0
    """How far the seed is from the study's."""
    role: str = ""
    """What the trial is in its stage, such as the name of a row of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted(Event):
    """A trial began to train, or went on from its checkpoint after a restart."""

    trial: str
    host: str
    device: str
    threads: int = 0
    """Processor threads it trains with, on which the last bits of its numbers depend; 0: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReported(Event):
    """A trial was validated."""

    trial: str
    epoch: int
    """Epochs trained so far."""
    metrics: dict[str, float]
    train_s: float
    """Seconds of training so far, validation not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFinished(Event):
    """A trial used up its epochs."""

    trial: str
    score: float
    """On the validation split, in [0, 1], of the best validation."""
    epoch: int
    """The epoch of that validation."""
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStopped(Event):
    """A trial was poor beside others at the same epoch and ended before its time.

    A kind of its own, not a mark on ``TrialFinished``: that goes on meaning that all epochs were trained,
    for every reader.
    """

    trial: str
    score: float
    """On the validation split, in [0, 1], of the best validation before the stop."""
    epoch: int
    """The epoch of that validation."""
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed(Event):
    """Something that a person should know, and that stopped nothing."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFailed(Event):
    """A trial diverged or crashed; the study goes on."""

    trial: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTested(Event):
    """The test split was opened for a finished trial, once."""

    trial: str
    metrics: dict[str, float]
    """As of a validation, on the test split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFinished(Event):
    """A stage ended."""

    stage: str
    best_trial: str
    """Empty when no trial of the stage finished."""
    chosen: dict[str, Value] = field(default_factory=dict)
    """The configuration that it hands on, complete."""
    role: str = ""
    """Of the trials with this configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyInterrupted(Event):
    """The process stopped in good order before the end."""

    reason: str


_KINDS: dict[str, type[Event]] = {
    "study-created": StudyCreated,
    "study-resumed": StudyResumed,
    "stage-asked": StageAsked,
    "stage-started": StageStarted,
    "trial-asked": TrialAsked,
    "trial-started": TrialStarted,
    "trial-reported": TrialReported,
    "trial-finished": TrialFinished,
    "trial-stopped": TrialStopped,
    "trial-failed": TrialFailed,
    "noticed": Noticed,
    "trial-tested": TrialTested,
    "stage-finished": StageFinished,
    "study-interrupted": StudyInterrupted,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
# JSON has no word for these; a diverged trial has them in its losses.
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_json(event: Event) -> str:
    """One line of standard JSON without its line end; ``from_json`` gives the event back.

    Raises:
        ValueError: ``plan``, ``space`` or ``parameters`` hold a number that is not finite.
    """
    kind = _NAMES[type(event)]
    record: dict[str, Any] = {"event": kind, "at": event.at.isoformat(timespec="microseconds")}
    for name, annotation in _fields_of(kind).items():
        record[name] = _encoded(getattr(event, name), annotation)
    return json.dumps(record, allow_nan=False)


def from_json(line: str | bytes) -> Event:
    """Read an event.

    Raises:
        ValueError: The line is no JSON object, its kind is unknown, or a field is missing, unknown
            or of another type than expected.
    """
    record = parse_json(line)
    if not isinstance(record, dict):
        raise ValueError(f"expected a JSON object, got {type(record).__name__}")
    kind, at = record.pop("event", None), record.pop("at", None)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"expected an event out of {', '.join(_KINDS)}, got {kind!r:.60}")
    return _KINDS[kind](at=_moment(at), **_decoded_fields(kind, record))


@cache
def _fields_of(kind: str) -> Mapping[str, Any]:
    hints = get_type_hints(_KINDS[kind])
    return {known.name: hints[known.name] for known in fields(_KINDS[kind]) if known.name != "at"}


def _decoded_fields(kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
    annotations = _fields_of(kind)
    # An identity made up in reading would be another one each time.
    required = {
        f.name for f in fields(_KINDS[kind]) if f.default is MISSING and f.default_factory is not dict
    }
    required -= {"at"}
    if missing := sorted(required - set(record)):
        raise ValueError(f"{kind} lacks {', '.join(missing)}")
    if unknown := sorted(set(record) - set(annotations)):
        raise ValueError(f"{kind} has no field {unknown[0]!r:.60}")
    decoded = {name: _decoded(value, annotations[name]) for name, value in record.items()}
    for name, value in decoded.items():
        if not _fits(value, annotations[name]):
            raise ValueError(f"{kind}.{name} is of another type than expected: {value!r:.60}")
    return decoded


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


def _encoded(value: Any, annotation: Any) -> Any:
    if annotation is float:
        number = float(value)
        return number if math.isfinite(number) else str(json.dumps(number))
    if annotation == dict[str, float]:
        return {name: _encoded(number, float) for name, number in value.items()}
    return value


def _decoded(value: Any, annotation: Any) -> Any:
    if annotation is float:
        number = _NOT_FINITE.get(value, value) if isinstance(value, str) else value
        return float(number) if type(number) is int else number
    if annotation == dict[str, float] and isinstance(value, dict):
        return {name: _decoded(number, float) for name, number in value.items()}
    return value


def _fits(value: Any, annotation: Any) -> bool:
    if annotation is Any:
        return True
    if get_origin(annotation) is dict:
        of = get_args(annotation)[1]
        return isinstance(value, dict) and all(_fits(item, of) for item in value.values())
    if isinstance(annotation, types.UnionType):
        return any(_fits(value, choice) for choice in get_args(annotation))
    # bool is an int in Python, but not in a journal.
    return type(value) is annotation

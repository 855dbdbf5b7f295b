"""Events of a study: one frozen record per kind. ``hpo.journal.codec`` writes and reads them as JSON."""

import json
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, PlainSerializer, PlainValidator, Strict

from hpo.journal.metrics import Metrics

COMMIT = "commit"
"""Name among the versions of the git commit of the user's folder."""
HUNG = "hung: no validation for"
"""Part of the message of ``Noticed`` about a trial that hung."""
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
"""Value of a hyperparameter."""
PackedMetrics = Annotated[
    Mapping[str, Number],
    AfterValidator(Metrics),
    PlainSerializer(lambda metrics: {name: _written_number(value) for name, value in metrics.items()}),
]
Point = dict[str, Whole | Annotated[float, Strict()] | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    event: str
    """Kind of the event, as it is written."""
    at: Moment = field(default_factory=_now)
    """Time of the event, in UTC with microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCreated(Event):
    """First event of every journal."""

    event: Literal["study-created"] = "study-created"
    study: str
    """Name of the study."""
    plan: dict[str, Any]
    """Resolved study file and everything else that is needed to resume, as plain JSON."""
    seed: Whole
    """Seed of the study."""
    data_digest: str
    """Hash of all data that scores depend on."""
    code_digest: str
    """Hash of the code that decides numbers."""
    versions: dict[str, str]
    """Versions of Python, of the packages that results depend on, and of the user's own code (``COMMIT``)."""
    identity: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Distinguishes this study from others of the same name in one MLflow store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRenamed(Event):
    """The study got another name."""

    event: Literal["study-renamed"] = "study-renamed"
    study: str
    """New name of the study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResumed(Event):
    """A process resumed the study."""

    event: Literal["study-resumed"] = "study-resumed"
    versions: dict[str, str]
    """Versions as in ``StudyCreated``, of the process that resumed the study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSet(Event):
    """The user gave the study another budget; without values, the hours of the study file apply again."""

    event: Literal["budget-set"] = "budget-set"
    hours: Number | None = None
    """Hours for which the study may run from now on, over all its sessions; infinite: no limit."""
    until: Moment | None = None
    """Time at which the study stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetEnded(Event):
    """No further trial of a stage fits into the budget; unfinished trials keep their checkpoints."""

    event: Literal["budget-ended"] = "budget-ended"
    stage: str
    """Stage that the budget has ended."""
    budget: str
    """Description such as ``2 h``."""
    of_stage: bool = False
    """Whether it is the budget of the stage alone, so that the stages after it have time."""
    suffices: bool = False
    """Whether the stage can end with the trials that it has: a search with a validation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataMoved(Event):
    """The data of the study, with the same digest, are in another place now."""

    event: Literal["data-moved"] = "data-moved"
    data: str
    """Place as in the plan of the study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAsked(Event):
    """The user requested a stage, which runs after those that were requested earlier."""

    event: Literal["stage-asked"] = "stage-asked"
    stage: str
    """Name of the stage."""
    settings: dict[str, Any]
    """Table of the stage in the study file, including the options that were typed."""
    start: Point = field(default_factory=dict)
    """Configuration to start from. Empty: the one that earlier stages found."""
    known: dict[str, Any] = field(default_factory=dict)
    """Scores of an earlier study, as ``hpo.study.configurations.warm_start`` writes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted(Event):
    """A stage started, with the space that it searches."""

    event: Literal["stage-started"] = "stage-started"
    stage: str
    """Name of the stage."""
    space: dict[str, Any]
    """Hyperparameters that the stage varies, each with a description of how."""
    trials: Whole
    """Largest number of trials of the stage."""
    epochs: Whole = 0
    """Epochs per trial."""
    start: Point = field(default_factory=dict)
    """Configuration from which the stage starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageExtended(Event):
    """The user requested more trials of a stage, or another space or settings for its next trials."""

    event: Literal["stage-extended"] = "stage-extended"
    stage: str
    """Name of the stage."""
    settings: dict[str, Any]
    """Table of the stage in the study file, including the options that were typed."""
    trials: Whole
    """Largest number of trials of the stage, with those that it has already."""
    space: dict[str, Any] = field(default_factory=dict)
    """Space of its next trials, which contains those that it has. Empty in older journals: as before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRetried(Event):
    """The user requested that the failed trials of a stage are trained again, from their beginning."""

    event: Literal["stage-retried"] = "stage-retried"
    stage: str
    """Name of the stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GainEstimated(Event):
    """The model of a search estimated what further trials bring, before the next one was proposed."""

    event: Literal["gain-estimated"] = "gain-estimated"
    stage: str
    """Name of the stage."""
    proposed: Whole
    """Number of trials that the stage had proposed."""
    trials: Whole
    """Number of further trials that the estimate is for."""
    gain: Number
    """Expected increase of the best score."""
    noise: Number
    """Standard deviation of the score between seeds, as the model has learnt it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialAsked(Event):
    """The stage proposed a trial."""

    event: Literal["trial-asked"] = "trial-asked"
    trial: str
    """Name of the trial, such as ``bayes-0001``."""
    stage: str
    """Stage of the trial."""
    parameters: Point
    """Hyperparameters of the trial; the plan has the others."""
    seed: Whole
    """Seed of the trial."""
    replicate: Whole = 0
    """Distance of the trial's seed from the study's seed."""
    role: str = ""
    """Role of the trial in its stage, such as the name of a row of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStarted(Event):
    """A trial started to train, or resumed from its checkpoint after a restart."""

    event: Literal["trial-started"] = "trial-started"
    trial: str
    """Name of the trial, such as ``bayes-0001``."""
    host: str
    """Machine that trains the trial; empty until a cluster's node has told it, with its first validation."""
    device: str
    """Device that trains the trial, such as ``cpu``."""
    threads: Whole = 0
    """Number of processor threads, which affect the last bits of the numbers; 0: unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialReported(Event):
    """A trial reported a validation."""

    event: Literal["trial-reported"] = "trial-reported"
    trial: str
    """Name of the trial, such as ``bayes-0001``."""
    epoch: Whole
    """Number of epochs trained so far."""
    metrics: PackedMetrics
    """Metrics on the validation split, by name."""
    train_s: Number
    """Seconds of training and validation so far, divided among the trials of an array."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFinished(Event):
    """A trial finished all its epochs."""

    event: Literal["trial-finished"] = "trial-finished"
    trial: str
    """Name of the trial, such as ``bayes-0001``."""
    score: Number
    """Score of the best validation, on the validation split, in [0, 1]."""
    epoch: Whole
    """Epoch of that validation."""
    duration_s: Number
    """Seconds of training and validation, divided among the trials of an array."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStopped(Event):
    """A trial was stopped early, by default because others were better at the same epoch.

    A trial that is stopped before its first validation has no score.

    This is a kind of its own, so that ``TrialFinished`` always means that all epochs were trained.
    """

    event: Literal["trial-stopped"] = "trial-stopped"
    trial: str
    """Name of the trial, such as ``bayes-0001``."""
    score: Number | None = None
    """Score of the best validation before the stop, on the validation split, in [0, 1]; None without one."""
    epoch: Whole = 0
    """Epoch of that validation; 0 without one."""
    duration_s: Number = 0.0
    """Seconds of training and validation up to the last validation, divided among the trials of an array."""
    reason: str = ""
    """Reason of the stop. Empty: the scheduler stopped it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed(Event):
    """A message for the user; the study continues."""

    event: Literal["noticed"] = "noticed"
    message: str
    """Text of the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFailed(Event):
    """A trial diverged or crashed; the study continues."""

    event: Literal["trial-failed"] = "trial-failed"
    trial: str
    """Name of the trial, such as ``bayes-0001``."""
    reason: str
    """Cause of the failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTested(Event):
    """A finished trial was scored on the test split, once."""

    event: Literal["trial-tested"] = "trial-tested"
    trial: str
    """Name of the trial, such as ``bayes-0001``."""
    metrics: dict[str, Number]
    """Metrics on the test split, with the names of a validation."""
    items: int | None = None
    """Number of items of the test split, such as games. None: the task does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFinished(Event):
    """A stage ended."""

    event: Literal["stage-finished"] = "stage-finished"
    stage: str
    """Name of the stage."""
    best_trial: str
    """Name of the best trial; empty if no trial of the stage finished."""
    chosen: Point = field(default_factory=dict)
    """Complete configuration that the stage passes on."""
    role: str = ""
    """Role of the trials with this configuration."""
    expected: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Configuration -> its score as a model of all trials expects it, with the standard deviation; highest
    first. Empty if the mean over seeds decided."""
    noise: Number | None = None
    """Standard deviation of the score between seeds, as that model has learnt it. None without a model, and
    in older journals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyInterrupted(Event):
    """The process stopped in an orderly way before the end of the study."""

    event: Literal["study-interrupted"] = "study-interrupted"
    reason: str
    """Cause of the stop, such as a signal."""


AnyEvent = (
    StudyCreated
    | StudyRenamed
    | StudyResumed
    | BudgetSet
    | BudgetEnded
    | DataMoved
    | StageAsked
    | StageStarted
    | StageExtended
    | StageRetried
    | GainEstimated
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
"""Type of all events that a journal can have."""

"""Comparison of a repeated training with its record: equal, close or different, and possible reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from rich.table import Table

from model.wording import counted

CLOSE = 0.03
"""Largest difference of the score at any validation that is close; seeds change Average-mAP as much."""
_NOT_COMPARED = {"train_s", "duration_s", "score"}
"""Metrics that are not compared: times, and ``score``, which repeats the one that is maximised."""
_PER_S = "_per_s"
_SYSTEM = "system/"
"""Prefix of MLflow's system metrics, such as the memory of a GPU; they are not compared."""


class Verdict(StrEnum):
    """Result of comparing the numbers of both trainings."""

    EQUAL = "equal"
    CLOSE = "close"
    DIFFERENT = "different"
    OTHER_DATA = "different data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Change since the recording that can influence the metrics."""

    what: str
    recorded: str
    now: str

    def __str__(self) -> str:
        return f"{self.what}: recorded {self.recorded}, now {self.now}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationPair:
    """Metrics of one validation in both trainings."""

    epoch: int
    recorded: Mapping[str, float]
    repeated: Mapping[str, float]
    metric: str
    """Name of the metric that is maximised."""

    @property
    def difference(self) -> float:
        """Score of the repeated training minus the recorded score."""
        return self.repeated[self.metric] - self.recorded[self.metric]

    @property
    def differing(self) -> list[str]:
        """Names of the metrics, except times, that are not equal to the last bit."""
        names = (self.recorded.keys() | self.repeated.keys()) - (_NOT_COMPARED - {self.metric})
        return sorted(
            name
            for name in names
            if not (name.endswith(_PER_S) or name.startswith(_SYSTEM))
            and self.recorded.get(name) != self.repeated.get(name)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """Result of training a recorded trial again."""

    study: str
    trial: str
    run: str
    score: str
    """Name of the score in tables."""
    validations: Sequence[ValidationPair]
    changes: Sequence[Change]
    other_data: bool
    failure: str | None = None
    """Reason why the repeated training ended before the recorded one."""

    @property
    def verdict(self) -> Verdict:
        """Verdict on the metrics; trainings on different data are never a reproduction."""
        if self.other_data:
            return Verdict.OTHER_DATA
        if self.failure is not None:
            return Verdict.DIFFERENT
        if not any(pair.differing for pair in self.validations):
            return Verdict.EQUAL
        return Verdict.CLOSE if self.largest_difference <= CLOSE else Verdict.DIFFERENT

    @property
    def succeeded(self) -> bool:
        """Whether the recorded metrics were reproduced."""
        return self.verdict in (Verdict.EQUAL, Verdict.CLOSE)

    @property
    def largest_difference(self) -> float:
        """Largest difference of the score over all validations."""
        return max((abs(pair.difference) for pair in self.validations), default=0.0)


def reproduction_table(result: Reproduction) -> Table:
    """Return a table with one row per validation."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("epoch", "recorded", "repeated", "difference", "other metrics"):
        table.add_column(name, justify="right")
    for pair in result.validations:
        others = len(set(pair.differing) - {pair.metric})
        table.add_row(
            str(pair.epoch),
            f"{pair.recorded[pair.metric]:.4f}",
            f"{pair.repeated[pair.metric]:.4f}",
            # Two of the same digits may differ in the last bit: only equal numbers get the 0.
            "0" if pair.difference == 0 else f"{pair.difference:+.2g}",
            f"{others} differ" if others else "equal",
        )
    return table


def verdict_lines(result: Reproduction) -> list[str]:
    """Describe the verdict and its possible reasons."""
    lines = [f"{result.verdict}: {_explanation(result)}"]
    lines += [f"  {change}" for change in result.changes]
    if not result.changes and result.verdict is not Verdict.EQUAL:
        lines.append(
            "  nothing that the record contains has changed; possible reasons are another model of "
            "processor, or a GPU, which does not add numbers in a fixed order"
        )
    return lines


def reproduction_record(result: Reproduction) -> dict[str, Any]:
    """Return the result as JSON."""
    return {
        "study": result.study,
        "trial": result.trial,
        "run": result.run,
        "verdict": result.verdict.value,
        "close": CLOSE,
        "largest_difference": result.largest_difference,
        "failure": result.failure,
        "changes": [asdict(change) for change in result.changes],
        "validations": [
            {
                "epoch": pair.epoch,
                "recorded": dict(pair.recorded),
                "again": dict(pair.repeated),
                "differing": pair.differing,
            }
            for pair in result.validations
        ],
    }


def _explanation(result: Reproduction) -> str:
    largest = f"{result.score} differs by at most {result.largest_difference:.2g}"
    match result.verdict:
        case Verdict.EQUAL:
            validations = counted(len(result.validations), "validation")
            return f"all metrics of {validations} are the same to the last bit"
        case Verdict.OTHER_DATA:
            return f"this is not a reproduction; {largest}"
        case Verdict.CLOSE:
            return f"{largest}; up to {CLOSE:g} counts as close"
        case _:
            return result.failure or f"{largest}, more than the {CLOSE:g} that counts as close"

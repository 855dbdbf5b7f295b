"""A trial that was trained again beside its record: equal, close or different, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from rich.table import Table

CLOSE = 0.03
"""Score that another seed moves a trial by: what differs by less at every validation is close."""
_NOT_COMPARED = {"train_s", "duration_s", "score"}
"""Metrics that depend on the clock, as those that end in _PER_S, and the one that repeats another."""
_PER_S = "_per_s"


class Verdict(StrEnum):
    """How the numbers of both trainings compare."""

    EQUAL = "equal"
    CLOSE = "close"
    DIFFERENT = "different"
    OTHER_DATA = "different data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that the numbers depend on and that is not as it was."""

    what: str
    recorded: str
    now: str

    def __str__(self) -> str:
        return f"{self.what}: {self.recorded} then, {self.now} now"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationPair:
    """One validation of both trainings."""

    epoch: int
    recorded: Mapping[str, float]
    again: Mapping[str, float]
    metric: str
    """The one that is maximised."""

    @property
    def difference(self) -> float:
        """Of the score: again minus recorded."""
        return self.again[self.metric] - self.recorded[self.metric]

    @property
    def differing(self) -> list[str]:
        """Metrics that are not the same to the last bit, those of the clock aside."""
        names = (self.recorded.keys() | self.again.keys()) - _NOT_COMPARED
        return sorted(
            name
            for name in names
            if not name.endswith(_PER_S) and self.recorded.get(name) != self.again.get(name)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """What came of training a recorded trial again."""

    study: str
    trial: str
    run: str
    score: str
    """What is maximised, for people."""
    validations: Sequence[ValidationPair]
    changes: Sequence[Change]
    other_data: bool
    failure: str | None = None
    """Why the second training stopped before the end of the first."""

    @property
    def verdict(self) -> Verdict:
        """Other data are never a reproduction, whatever the numbers say."""
        if self.other_data:
            return Verdict.OTHER_DATA
        if self.failure is not None:
            return Verdict.DIFFERENT
        if not any(pair.differing for pair in self.validations):
            return Verdict.EQUAL
        return Verdict.CLOSE if self.largest_difference <= CLOSE else Verdict.DIFFERENT

    @property
    def succeeded(self) -> bool:
        """Whether the recorded numbers came out again."""
        return self.verdict in (Verdict.EQUAL, Verdict.CLOSE)

    @property
    def largest_difference(self) -> float:
        """Of the score, over all validations."""
        return max((abs(pair.difference) for pair in self.validations), default=0.0)


def reproduction_table(result: Reproduction) -> Table:
    """One row a validation."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("epoch", "recorded", "again", "difference", "other metrics"):
        table.add_column(name, justify="right")
    for pair in result.validations:
        others = len(set(pair.differing) - {pair.metric})
        table.add_row(
            str(pair.epoch),
            f"{pair.recorded[pair.metric]:.4f}",
            f"{pair.again[pair.metric]:.4f}",
            # Two of the same digits may differ in the last bit: only equal numbers get the 0.
            "0" if pair.difference == 0 else f"{pair.difference:+.2g}",
            f"{others} differ" if others else "equal",
        )
    return table


def verdict_lines(result: Reproduction) -> list[str]:
    """The verdict in words, and what may be behind it."""
    lines = [f"{result.verdict}: {_reading(result)}"]
    lines += [f"  {change}" for change in result.changes]
    if not result.changes and result.verdict is not Verdict.EQUAL:
        lines.append(
            "  nothing that is recorded has changed; what is left is a processor of another kind, or a GPU, "
            "which does not add up in a fixed order"
        )
    return lines


def reproduction_record(result: Reproduction) -> dict[str, Any]:
    """All of it as JSON."""
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
                "again": dict(pair.again),
                "differing": pair.differing,
            }
            for pair in result.validations
        ],
    }


def _reading(result: Reproduction) -> str:
    largest = f"{result.score} differs by {result.largest_difference:.2g} at most"
    match result.verdict:
        case Verdict.EQUAL:
            return f"all metrics of {len(result.validations)} validations are the same to the last bit"
        case Verdict.OTHER_DATA:
            return f"this is no reproduction; {largest}"
        case Verdict.CLOSE:
            return f"{largest}, up to {CLOSE:g} is what another seed does"
        case _:
            return result.failure or f"{largest}, more than the {CLOSE:g} that another seed does"

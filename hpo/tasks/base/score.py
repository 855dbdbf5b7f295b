"""Score of a task."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional, SupportsFloat


@dataclass(frozen=True, slots=True)
class Score:
    """The metric that a task maximises."""

    metric: str
    """Name of the metric in a validation. Its values lie in [0, 1]; higher is better."""
    label: str
    """Name in tables and figures, such as ``Average-mAP``."""
    mean: str = ""
    """Classes in the mean, such as ``over all classes``; empty if the task has only one mean."""
    beside: Optional["Score"] = None
    """The mean over other classes, which is shown beside the score if a class has no AP."""

    @property
    def full_label(self) -> str:
        """Name with the classes, such as ``Average-mAP over all classes``."""
        return f"{self._name} {self.mean}".rstrip()

    @property
    def _name(self) -> str:
        return self.label.removesuffix(self.mean).rstrip()

    def other_mean(self, metrics: Mapping[str, float], classes: Sequence[str]) -> "Score | None":
        """Return the mean to show beside the score; None if each class has a metric ``ap/NAME``."""
        absent = any(f"ap/{name}" not in metrics for name in classes)
        return self.beside if absent and self.beside and self.beside.metric in metrics else None

    def describe(self, value: float, metrics: Mapping[str, float], classes: Sequence[str]) -> str:
        """Format the score, such as ``0.2500``, or ``0.2500 over all classes, 0.5000 over classes present``.

        Args:
            value: The score.
            metrics: Metrics of the validation or of the test split.
            classes: All classes of the data.
        """
        other = self.other_mean(metrics, classes)
        if other is None:
            return f"{value:.4f}"
        return f"{value:.4f} {self.mean}, {metrics[other.metric]:.4f} {other.mean}"

    def describe_named(self, value: float, metrics: Mapping[str, float], classes: Sequence[str]) -> str:
        """Format the score with its name, such as ``Average-mAP 0.2500``."""
        name = self.label if self.other_mean(metrics, classes) is None else self._name
        return f"{name} {self.describe(value, metrics, classes)}"


def number_in(value: object) -> float | None:
    """Return a number that a task gives as a float; None if it is none.

    NumPy's numbers count, and so do tensors and arrays of a single one, which metrics often are.
    """
    try:
        number = value.item() if hasattr(value, "item") else value
    except (ValueError, RuntimeError):  # several numbers
        return None
    if not isinstance(number, SupportsFloat) or isinstance(number, bool):
        return None
    try:
        return float(number)
    except OverflowError:  # a whole number or a fraction that no float holds
        return math.inf

"""Score of a task."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """The metric that a task maximises."""

    metric: str
    """Name of the metric in a validation. Its values lie in [0, 1]; higher is better."""
    label: str
    """Name in tables and figures, such as ``Average-mAP``."""

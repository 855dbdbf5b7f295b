"""What a task maximises."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """The metric that a task maximises."""

    metric: str
    """Its name among the metrics of a validation. Its values lie in [0, 1]; higher is better."""
    label: str
    """Its name in tables and figures, such as ``Average-mAP``."""

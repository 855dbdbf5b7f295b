"""What came of the stages on ActivityNet: the grid over K1, and the two losses over many runs."""

from collections.abc import Sequence
from statistics import fmean, stdev

from rich.console import RenderableType
from rich.table import Table

from hpo.journal.results import TrialState
from hpo.report.samples import samples_table
from hpo.report.words import value

METRICS = {"ar@100": "AR@100", "auc": "AUC", "average_map": "Average-mAP"}
"""Of a validation, under the names of Table 3."""
LOSSES = ("bmn", "context-aware")


def slicing_table(trials: Sequence[TrialState], *, score: str) -> Table:
    """One row a value of K1: mean score over its seeds.

    Args:
        trials: Of the stage.
        score: What it is called.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("K1", "seeds", score, "sd"):
        table.add_column(name, justify="right")
    for k1, scores in sorted(_by_k1(trials).items(), reverse=True):
        spread = f"{stdev(scores):.4f}" if len(scores) > 1 else ""
        table.add_row(value(k1), str(len(scores)), f"{fmean(scores):.4f}", spread)
    return table


def losses_tables(trials: Sequence[TrialState]) -> list[RenderableType]:
    """Both losses with the tests of section 7.5, the paper's numbers beside; none while one has no score."""
    samples = [_scores_of(trials, loss) for loss in LOSSES]
    return [samples_table(*samples, names=LOSSES)] if all(samples) else []


def _by_k1(trials: Sequence[TrialState]) -> dict[float, list[float]]:
    found: dict[float, list[float]] = {}
    for trial in trials:
        if trial.role == "grid" and trial.score is not None:
            found.setdefault(float(trial.parameters["K1_positions"]), []).append(trial.score)
    return found


def _scores_of(trials: Sequence[TrialState], loss: str) -> dict[str, list[float]]:
    """Metric -> a score for every run, each at the run's best validation."""
    best = [
        trial.reports[trial.best_epoch or 0].metrics
        for trial in trials
        if trial.role == loss and trial.score is not None
    ]
    known = [name for name in METRICS if best and all(name in metrics for metrics in best)]
    return {METRICS[name]: [metrics[name] for metrics in best] for name in known}

"""Tables of the stages of boundary-matching networks: the grid over K1, and the comparison of losses."""

from collections.abc import Sequence
from statistics import fmean, stdev

from rich.console import RenderableType
from rich.table import Table

from hpo.journal.ranking import GRID, counted_by_configuration
from hpo.journal.trial_state import TrialState
from hpo.report.formats import value
from hpo.tasks.base.presentation.stage_presentation import StageView
from hpo.tasks.bmn.presentation.samples import TABLE_3, samples_table

METRICS = {"ar@100": "AR@100", "auc": "AUC", "average_map": "Average-mAP"}
"""Metric of a validation -> its name in Table 3 of the paper."""
LOSSES = ("bmn", "context-aware")
"""Names of the losses to compare."""
PAPERS_DATA = ("csv_mean_100", 400, 4728)
"""Features, their dimensions, and number of ActivityNet's validation videos in Table 3 of the paper. They
identify the data, for a folder can have any name."""


def grid_tables(view: StageView) -> Sequence[RenderableType]:
    """Return a table with the average score over seeds for each value of K1."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("K1 (positions)", "seeds", view.score.label, "sd"):
        table.add_column(name, justify="right")
    for k1, scores in sorted(_by_k1(view.trials).items(), reverse=True):
        spread = f"{stdev(scores):.4f}" if len(scores) > 1 else ""
        table.add_row(value(k1), str(len(scores)), f"{fmean(scores):.4f}", spread)
    return [table]


def losses_tables(view: StageView) -> Sequence[RenderableType]:
    """Return a table of both losses with significance tests; no table until both have a score."""
    samples = [_scores_of(view.compared, loss) for loss in LOSSES]
    if not all(samples):
        return []
    return [
        samples_table(*samples, names=LOSSES, published=TABLE_3 if _is_papers(view) else {}),
        "Runs on the validation split: ± after a mean is the standard deviation over the runs, ± after an "
        "unpaired difference the 95 % interval of the t-test beside it, which takes the runs as independent, "
        "as the paper does; the table above pairs them by seed. The column runs says over how many.",
    ]


def _is_papers(view: StageView) -> bool:
    """Return whether the study ran on the data of Table 3."""
    features = view.dataset.rpartition("/")[2]
    return (features, view.shape.dims, view.valid_items) == PAPERS_DATA


def _by_k1(trials: Sequence[TrialState]) -> dict[float, list[float]]:
    found: dict[float, list[float]] = {}
    for trial in counted_by_configuration(trials):
        if trial.role == GRID and trial.score is not None:
            found.setdefault(float(trial.parameters["K1_positions"]), []).append(trial.score)
    return found


def _scores_of(trials: Sequence[TrialState], loss: str) -> dict[str, list[float]]:
    """Return metric -> one value per run, each at the run's best validation."""
    best = [trial.metrics for trial in counted_by_configuration(trials) if trial.role == loss]
    known = [name for name in METRICS if best and all(name in metrics for metrics in best)]
    return {METRICS[name]: [metrics[name] for metrics in best] for name in known}

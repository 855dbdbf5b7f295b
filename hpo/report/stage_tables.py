"""Tables that present the results of a stage."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from rich.console import RenderableType
from rich.table import Table

from hpo.config.stages import SEARCH
from hpo.journal.paired import PairedDifference, paired_difference
from hpo.journal.ranking import counted_by_configuration
from hpo.journal.roles import scores_by_role, test_scores_by_role
from hpo.journal.trial_state import TrialState
from hpo.report.trial_tables import best_table, scores_line
from hpo.tasks.base.presentation.stage_presentation import StagePresentation, StageView
from hpo.tasks.base.score import Score
from model.wording import with_interval

_COMPARED = (
    "Scores: means over the seeds, on the validation split where no split is named; sd is the standard "
    "deviation over the seeds; ± is the 95 % interval of the paired difference over the seeds of both."
)


def stage_tables(view: StageView, presentation: StagePresentation, *, top: int) -> list[RenderableType]:
    """Return the tables of a stage: the best trials of a search, else a comparison of its configurations.

    Args:
        view: A stage that has trials.
        presentation: Tables and labels that the task adds.
        top: Number of configurations in the table of a search.
    """
    if view.stage == SEARCH:
        best = view.state.ranked(SEARCH, top)
        return [best_table(best, view.shape.classes, score=view.score), scores_line(best)] if best else []
    compared = view.compared
    if not compared:
        return []
    roles = [trial.role for trial in compared]
    reference = presentation.reference if presentation.reference in roles else roles[0]
    comparison = comparison_table(
        compared,
        score=view.score,
        reference=reference,
        published=presentation.published,
        classes=view.shape.classes,
    )
    return [comparison, _COMPARED, *_absent_lines(view), *presentation.tables(view)]


def comparison_table(
    trials: Sequence[TrialState],
    *,
    score: Score,
    reference: str,
    published: Mapping[str, float],
    classes: Sequence[str] = (),
) -> Table:
    """Return one row per configuration: mean ``score``, spread, and paired difference to ``reference``.

    If some of the ``classes`` have no actions in a split, the mean over all classes and the mean over the
    classes present have a column each. A single configuration has no difference to another one.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("configuration")
    counted = counted_by_configuration(trials)
    tested = any(trial.tested for trial in counted)
    beside = _beside(score, [trial.metrics for trial in counted], classes)
    test_beside = _beside(score, [trial.tested for trial in counted if trial.tested], classes)
    valid, test = scores_by_role(trials), test_scores_by_role(trials, score.metric)
    tail = ["sd", f"minus {reference!r}"] if len(valid) > 1 else ["sd"]
    names = ["seeds", *_headings(score, beside, "", tail)]
    if tested:
        names += _headings(score, test_beside, "test split", tail)
    for name in [*names, *([f"paper: {score.label}"] if published else [])]:
        table.add_column(name, justify="right")
    shown = 1 + len(tail)
    for role, scores in valid.items():
        mine = [trial for trial in counted if trial.role == role]
        cells = [str(len(scores)), *_cells(scores, valid.get(reference, {}), same=role == reference)[:shown]]
        if beside is not None:
            cells.append(_mean([trial.metrics for trial in mine], beside))
        if tested:
            cells += _cells(test.get(role, {}), test.get(reference, {}), same=role == reference)[:shown]
        if test_beside is not None:
            cells.append(_mean([trial.tested for trial in mine if trial.tested], test_beside))
        if published:
            cells.append(f"{published[role]:.3f}" if role in published else "")
        table.add_row(role, *cells)
    return table


def _absent_lines(view: StageView) -> list[str]:
    """Return a line for each split that lacks actions of some classes, which have no AP there."""
    lines = []
    for split, found in (
        ("validation", [trial.metrics for trial in view.compared if trial.score is not None]),
        ("test", [trial.tested for trial in view.compared if trial.tested]),
    ):
        if _beside(view.score, found, view.shape.classes) is not None:
            absent = [name for name in view.shape.classes if not any(f"ap/{name}" in row for row in found)]
            lines.append(f"no actions in the {split} split: {', '.join(absent)}")
    return lines


def _beside(score: Score, found: Sequence[Mapping[str, float]], classes: Sequence[str]) -> Score | None:
    """Return the other mean if a class has no actions in the split that the metrics ``found`` belong to."""
    return next(filter(None, (score.other_mean(metrics, classes) for metrics in found)), None)


def _headings(score: Score, beside: Score | None, split: str, tail: Sequence[str]) -> list[str]:
    """Return the headings of the columns about one split; an empty name is the validation split."""
    if beside is None:
        return [split or score.label, *tail]
    own, other = (f"{split} {mean.mean}" if split else mean.full_label for mean in (score, beside))
    return [own, *tail, other]


def _mean(found: Sequence[Mapping[str, float]], score: Score) -> str:
    values = [metrics[score.metric] for metrics in found if score.metric in metrics]
    return f"{fmean(values):.4f}" if values else "-"


def format_difference(difference: PairedDifference | None) -> str:
    """Format a difference, such as ``+0.0210 ± 0.0080``; a single pair has no interval."""
    if difference is None:
        return ""
    half_width = difference.half_width if difference.pairs > 1 else None
    return with_interval(difference.mean, half_width, sign="+")


def _cells(scores: Mapping[int, float], reference: Mapping[int, float], *, same: bool) -> list[str]:
    if not scores:
        return ["no score", "", ""]
    values = list(scores.values())
    spread = f"{stdev(values):.4f}" if len(values) > 1 else ""
    return [
        f"{fmean(values):.4f}",
        spread,
        "" if same else format_difference(paired_difference(scores, reference)),
    ]

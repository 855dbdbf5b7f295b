"""What came of a stage, as tables for people."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from rich.console import RenderableType
from rich.table import Table

from hpo.journal.events import Value
from hpo.journal.results import (
    StageState,
    StudyState,
    TrialState,
    scores_by_role,
    test_scores_by_role,
)
from hpo.report.boundaries import losses_tables, slicing_table
from hpo.report.paired import PairedDifference, paired_difference
from hpo.report.tables import best_table
from hpo.report.words import value
from hpo.tasks.base.registry import task_of
from hpo.tasks.base.task import Score
from hpo.tracking.symbols import by_symbol

TABLE_2 = {
    "full model": 62.5,
    "(i) no segmentation": 58.9,
    "(ii) no context slicing": 57.8,
    "(iii) no margins": 59.0,
    "(iv) no matching": 46.8,
}
"""Average-mAP in % of the paper's ablation, on SoccerNet's ResNet features."""
TABLE_1 = {"i3d": 53.6, "c3d": 57.7, "resnet": 62.5}
"""Average-mAP in % of the paper by features, on SoccerNet's test split."""
_REFERENCES = {
    "grid-slicing": "start",
    "bmn-slicing": "start",
    "bmn-compare": "bmn",
    "final": "study file",
    "ablation": "full model",
    "sensitivity": "full model",
}
"""The row that the others of a stage are compared with; else the first."""


def stage_tables(
    state: StudyState, name: str, *, classes: Sequence[str], dataset: str, top: int
) -> list[RenderableType]:
    """The result of stage ``name``; for a search its best trials, else its configurations compared.

    Args:
        state: The study.
        name: A stage that has trials.
        classes: Names of the classes.
        dataset: Name of data and features, such as ``soccernet-v1/resnet``.
        top: Trials in the table of a search.
    """
    score = task_of(state.created).score
    if name == "bayes":
        best = state.best(top, stage=name)
        return [best_table(best, classes, score=score.label)] if best else []
    compared = [trial for trial in state.trials_of(name) if trial.role != "grid"]
    if not compared:
        return []
    reference = _REFERENCES.get(name, compared[0].role)
    paper = TABLE_2 if name == "ablation" else {}
    tables: list[RenderableType] = [comparison_table(compared, score=score, reference=reference, paper=paper)]
    if name == "grid-slicing":
        tables += [zones_table(state.stages[name], classes), *_disturbances(compared, classes)]
    if name == "bmn-slicing":
        tables.insert(0, slicing_table(state.trials_of(name), score=score.label))
    if name == "bmn-compare":
        tables += losses_tables(compared)
    features = dataset.rpartition("/")[2]
    if name == "final" and dataset.startswith("soccernet") and features in TABLE_1:
        tables.append(f"paper, test split, {features}: {TABLE_1[features] / 100:.3f}")
    return tables


def found_record(state: StudyState) -> dict[str, Value]:
    """The configuration that the study found, under the paper's symbols; empty while there is none."""
    stage = finding_stage(state)
    return by_symbol(stage.chosen) if stage else {}


def finding_stage(state: StudyState) -> StageState | None:
    """Return the stage with the last word on the configuration: what an ablation liked best is no finding.

    None while no such stage has handed on a configuration.
    """
    deciding = [state.stages[name] for name in task_of(state.created).deciding if name in state.stages]
    return next((stage for stage in deciding if stage.chosen), None)


def comparison_table(
    trials: Sequence[TrialState], *, score: Score, reference: str, paper: Mapping[str, float]
) -> Table:
    """One row a role: mean ``score`` over its seeds, spread, and paired difference to ``reference``."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("configuration")
    for name in ("seeds", score.label, "sd", f"minus {reference!r}"):
        table.add_column(name, justify="right")
    tested = any(trial.tested for trial in trials)
    for name in (["test split", "sd", f"minus {reference!r}"] if tested else []) + (
        ["paper"] if paper else []
    ):
        table.add_column(name, justify="right")
    valid, test = scores_by_role(trials), test_scores_by_role(trials, score.metric)
    for role, scores in valid.items():
        cells = [str(len(scores)), *_cells(scores, valid.get(reference, {}), same=role == reference)]
        if tested:
            cells += _cells(test.get(role, {}), test.get(reference, {}), same=role == reference)
        if paper:
            cells.append(f"{paper[role] / 100:.3f}" if role in paper else "")
        table.add_row(role, *cells)
    return table


def zones_table(stage: StageState, classes: Sequence[str]) -> Table:
    """The slicing parameters at the start of the grid and those chosen, in frames."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("class", "K1", "K2", "K3", "K4", "chosen K1", "K2", "K3", "K4"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for label in classes:
        keys = [f"K{number}_frames.{label}" for number in (1, 2, 3, 4)]
        table.add_row(
            label,
            *(value(stage.start.get(key, "-")) for key in keys),
            *(value(stage.chosen.get(key, "-")) for key in keys),
        )
    return table


def difference_words(difference: PairedDifference | None) -> str:
    """Such as ``+0.021 +- 0.008``; a single pair has no interval."""
    if difference is None:
        return ""
    if difference.pairs < 2:
        return f"{difference.mean:+.4f}"
    return f"{difference.mean:+.4f} ± {difference.half_width:.4f}"


def _disturbances(trials: Sequence[TrialState], classes: Sequence[str]) -> list[str]:
    """The interaction check: classes that are worse in the winners' combination than at the start."""
    lines = []
    for label in classes:
        scores = {
            role: {t.replicate: _class_ap(t, label) for t in trials if t.role == role and t.score is not None}
            for role in ("combined", "start")
        }
        difference = paired_difference(scores["combined"], scores["start"])
        if difference is not None and difference.mean < 0 and difference.is_clear:
            lines.append(
                f"interaction: {label} has {difference_words(difference)} AP with all winners put together: "
                f"the classes disturb each other; try --mode per-class"
            )
    return lines


def _class_ap(trial: TrialState, label: str) -> float:
    return trial.reports[trial.best_epoch or 0].metrics.get(f"ap/{label}", 0.0)


def _cells(scores: Mapping[int, float], reference: Mapping[int, float], *, same: bool) -> list[str]:
    if not scores:
        return ["failed", "", ""]
    values = list(scores.values())
    spread = f"{stdev(values):.4f}" if len(values) > 1 else ""
    return [
        f"{fmean(values):.4f}",
        spread,
        "" if same else difference_words(paired_difference(scores, reference)),
    ]

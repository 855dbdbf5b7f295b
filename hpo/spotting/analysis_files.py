"""Files of an analysis: tables as CSV, figures as PNG and SVG."""

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from hpo.report.figures.style import save_figure
from hpo.spotting.analysis import Analysis
from hpo.spotting.figures.bins import bins_figure
from hpo.spotting.figures.calibration import calibration_figure, offsets_figure
from hpo.spotting.figures.class_results import class_results_figure
from hpo.spotting.figures.confusion import confusion_figure
from hpo.spotting.figures.timeline import timeline_figure
from hpo.spotting.figures.zones import loss_figure, zones_figure
from model.errors import UserError
from model.files import write_whole
from model.metrics.breakdowns import HALF_S, GroupScore, game_time_edges
from model.metrics.calibration import CONFIDENCE_EDGES
from model.wording import counted

Rows = list[list[object]]


def summary_lines(analysis: Analysis) -> list[str]:
    """Summarise the scores in a few lines; if a class has no actions, name it and both means."""
    scores = analysis.scores
    absent = [name for name, there in zip(analysis.classes, scores.present, strict=True) if not there]
    mean = f"{scores.average_map:.4f}"
    if absent:
        present = len(analysis.classes) - len(absent)
        mean += f" over all {len(analysis.classes)} classes, "
        mean += f"{scores.average_map_present:.4f} over the {present} present,"
    lines = [
        f"Average-mAP {mean} on {counted(analysis.games, 'game')} of the {analysis.split} split, "
        f"{counted(scores.actions, 'action')}, in float32{_scored(analysis)}",
    ]
    if scores.break_actions:  # soccer's substitutions at half-time; other sports have none there
        lines.append(
            f"without the {scores.break_actions} actions of the half-time break: "
            f"{scores.average_map_without_break:.4f}{' over all classes' if absent else ''}"
        )
    if absent:
        lines.append(f"no actions in this split: {', '.join(absent)}")
    return lines


def results_folder(folder: Path) -> Path:
    """Create ``folder`` if it does not exist.

    Raises:
        UserError: The folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot create the folder for results: {error.strerror}", folder=folder) from None
    return folder


def write_analysis(analysis: Analysis, folder: Path) -> list[Path]:
    """Write every table and figure into ``folder``."""
    return [*_write_tables(analysis, folder), *_write_figures(analysis, folder)]


def _write_tables(analysis: Analysis, folder: Path) -> list[Path]:
    scores = analysis.scores
    tables = {
        "summary": _summary_rows(analysis),
        "per-class": per_class_rows(analysis),
        "game-time": _bin_rows(analysis, scores.game_time, game_time_labels(scores.halves), "bin_minutes"),
        "vicinity": _bin_rows(analysis, scores.vicinity, vicinity_labels(scores.vicinity_edges_s), "bin_s"),
        "confusion": _confusion_rows(analysis),
        "calibration": _calibration_rows(analysis),
        "offsets": _offset_rows(analysis),
    }
    return [_write_csv(folder / f"{name}.csv", rows) for name, rows in tables.items()]


def _write_figures(analysis: Analysis, folder: Path) -> list[Path]:
    classes, width_s, rate = analysis.classes, analysis.pairs.tolerance_s, analysis.timeline.frame_rate
    played = played_bins(analysis.scores.game_time, analysis.scores.halves)
    labels = game_time_labels(analysis.scores.halves)
    figures = {
        "per-class": class_results_figure(
            analysis.results, classes, analysis.split, present=analysis.scores.present
        ),
        "game-time": bins_figure(
            [analysis.scores.game_time[place] for place in played],
            [labels[place] for place in played],
            whole=analysis.scores.average_map_present,
            title=f"Average-mAP by game time{_scored(analysis)}",
            axis="game time (minutes)",
        ),
        "vicinity": bins_figure(
            analysis.scores.vicinity,
            vicinity_labels(analysis.scores.vicinity_edges_s),
            whole=analysis.scores.average_map_present,
            title=f"Average-mAP by distance to the closest other action{_scored(analysis)}",
            axis="distance to the closest other action of any class (s)",
        ),
        "confusion": confusion_figure(analysis.pairs.confusion, classes, width_s),
        "calibration": calibration_figure(analysis.pairs.calibration, classes, width_s),
        "offsets": offsets_figure(analysis.pairs.offset_class, analysis.pairs.offset_s, classes, width_s),
        "timeline": timeline_figure(analysis.timeline),
    }
    if analysis.loss is not None:
        figures["zones"] = zones_figure(analysis.loss.zones, classes, rate)
        figures["loss"] = loss_figure(analysis.loss, classes, rate)
    return [file for name, figure in figures.items() for file in save_figure(figure, folder, name)]


def _scored(analysis: Analysis) -> str:
    """Return tolerances and suppression as the end of a line; empty where they are the paper's."""
    return f", {analysis.scoring}" if analysis.scoring else ""


def game_time_labels(halves: int = 2) -> list[str]:
    """Return a label with the minutes of each bin; minutes after 45 and 90 are stoppage time.

    Args:
        halves: Number of halves. With one, the match has one clock. With more than two, the clock starts anew
            in each and labels name the half.
    """
    edges_s = game_time_edges(halves)
    if halves > 2:
        of_one = _minutes(0.0, edges_s)
        return [f"{number}: {label}" for number in range(1, halves + 1) for label in of_one]
    return [label for half in range(halves) for label in _minutes(half * HALF_S, edges_s)]


def played_bins(groups: Sequence[GroupScore], halves: int) -> list[int]:
    """Return the places of the bins up to the last one of a half in which any half has an action.

    Args:
        groups: Scores of all bins of game time, half after half.
        halves: Number of halves.
    """
    each = len(groups) // halves
    last = max((place % each for place, group in enumerate(groups) if group.actions), default=0)
    return [place for place in range(len(groups)) if place % each <= last]


def _minutes(first_s: float, edges_s: Sequence[float]) -> list[str]:
    """Return a label for each bin within a half that begins at ``first_s`` of the game."""
    minutes = [round((first_s + edge) / 60) for edge in edges_s[:-1]]
    return [*(f"{low}-{high}" for low, high in pairwise(minutes)), f"{minutes[-1]}+"]


def vicinity_labels(edges_s: Sequence[float]) -> list[str]:
    """Return a label with the seconds of each bin; the last one has no end."""
    return [*(f"{low:g}-{high:g}" for low, high in pairwise(edges_s[:-1])), f"{edges_s[-2]:g}+"]


def _summary_rows(analysis: Analysis) -> Rows:
    names = ("actions", "average_map", "average_map_present", "break_actions", "average_map_without_break")
    values = [getattr(analysis.scores, name) for name in names]
    return [["split", "games", *names], [analysis.split, analysis.games, *values]]


def per_class_rows(analysis: Analysis) -> Rows:
    """Return counts and shares by class and tolerance; a class without actions has no recall and no F1."""
    found = analysis.results
    columns = (
        "threshold",
        "true_positives",
        "false_positives",
        "false_negatives",
        "precision",
        "recall",
        "f1",
    )
    tables = [getattr(found, name) for name in columns]
    of_actions = ("recall", "f1")
    rows: Rows = [["class", "tolerance_s", *columns]]
    for index, name in enumerate(analysis.classes):
        for row, tolerance_s in enumerate(found.tolerances_s):
            values = [
                "" if column in of_actions and not analysis.scores.present[index] else table[row, index]
                for column, table in zip(columns, tables, strict=True)
            ]
            rows.append([name, tolerance_s, *values])
    return rows


def _bin_rows(analysis: Analysis, groups: Sequence[GroupScore], labels: Iterable[str], unit: str) -> Rows:
    rows: Rows = [[unit, "actions", "average_map", *(f"ap_{name}" for name in analysis.classes)]]
    for label, group in zip(labels, groups, strict=True):
        score = group.score
        each = [value if there else "" for value, there in zip(score.per_class, score.counted, strict=True)]
        rows.append([label, group.actions, score.average_map if group.actions else "", *each])
    return rows


def _confusion_rows(analysis: Analysis) -> Rows:
    names = [*analysis.classes, "no action"]
    header = ["action", *analysis.classes, "not spotted"]
    return [
        header,
        *([name, *row] for name, row in zip(names, analysis.pairs.confusion.tolist(), strict=True)),
    ]


def _calibration_rows(analysis: Analysis) -> Rows:
    found = analysis.pairs.calibration
    rows: Rows = [["class", "confidence_from", "confidence_to", "spots", "right", "mean_confidence"]]
    for index, name in enumerate(analysis.classes):
        for place, (low, high) in enumerate(pairwise(CONFIDENCE_EDGES)):
            mean = found.confidence[index, place] if found.spots[index, place] else ""
            rows.append([name, low, high, found.spots[index, place], found.right[index, place], mean])
    return rows


def _offset_rows(analysis: Analysis) -> Rows:
    pairs = zip(analysis.pairs.offset_class.tolist(), analysis.pairs.offset_s.tolist(), strict=True)
    return [["class", "offset_s"], *([analysis.classes[index], offset_s] for index, offset_s in pairs)]


def _write_csv(file: Path, rows: Rows) -> Path:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_whole(file, text.getvalue().encode())
    return file

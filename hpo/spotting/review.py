"""Table of sequences for two reviewers (CSV), and the precision according to their answers (figure 8)."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.table import Table

from hpo.report.figures.style import save_figure
from hpo.spotting.figures.precision import precision_figure
from model.documents import TableRow, decode_text, parse_table, read_limited
from model.errors import DataError, Problem
from model.files import write_new, write_whole
from model.inference.clips import Clip
from model.metrics.review import THRESHOLDS, ReviewedPrecision
from model.timeline import format_game_time
from model.wording import counted

REVIEW_FILE = "opportunities.csv"
REVIEWERS = ("reviewer_1", "reviewer_2")
_PLACE = ("game", "half", "start", "end", "peak_score")
COLUMNS = (*_PLACE, *REVIEWERS)
"""Columns that every table has."""
CUT_AT = "threshold"
"""Column of the score at which the sequences were cut; tables of earlier versions lack it."""
_ANSWERS = {"yes": True, "y": True, "no": False, "n": False}
_MAX_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Answers of two reviewers."""

    peaks: npt.NDArray[np.float64]
    """(sequences,): highest segmentation score of each sequence."""
    verdicts: npt.NDArray[np.bool_]
    """(sequences, 2): True if the reviewer accepted the sequence."""
    cut_at: float | None
    """Score above which the peaks of the reviewed sequences lie; None if the table does not say it."""

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Thresholds of the precision curve; nobody has reviewed what lies below ``cut_at``."""
        if self.cut_at is None:
            return THRESHOLDS
        return (*(threshold for threshold in THRESHOLDS if threshold > self.cut_at), self.cut_at)


def write_review(file: Path, clips: Iterable[tuple[str, Clip]], *, cut_at: float) -> int:
    """Write a row per pair (game, clip) whose peak is above ``cut_at``, with empty columns for the reviewers.

    The digits of the table decide what is above, so that ``hpo precision`` counts every row.

    Args:
        file: The table.
        clips: Games, and their clips to review.
        cut_at: Smallest score of a frame of a sequence.

    Returns:
        Number of rows.

    Raises:
        StorageError: The file exists with other content, which may include answers.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_PLACE, CUT_AT, *REVIEWERS])
    rows, lowest = 0, f"{cut_at:g}"
    for game, clip in clips:
        peak = f"{clip.score:.6f}"
        if float(peak) <= float(lowest):
            continue
        start, end = (
            format_game_time(clip.half + 1, time_s).partition(" - ")[2]
            for time_s in (clip.start_s, clip.stop_s)
        )
        writer.writerow([game, clip.half + 1, start, end, peak, lowest, "", ""])
        rows += 1
    write_new(
        file,
        text.getvalue().encode(errors="backslashreplace"),
        refusal="the file exists and may contain answers of reviewers",
        fix="move the file, or choose another folder with --to",
    )
    return rows


def read_review(file: Path) -> Review:
    """Read a table with the answers of both reviewers.

    Raises:
        DataError: The file is not a review table, or has invalid rows; the error lists them with their lines.
    """
    rows = _read_rows(file)
    problems: list[Problem] = []
    peaks, answers, cuts, seen = [], [], [], dict[tuple[str, ...], int]()
    for row in rows:
        place = tuple(row.cells[name] for name in _PLACE)
        faults = [row.fault] if row.fault else _row_faults(row.cells)
        if place in seen:
            faults.append(f"repeats the sequence of line {seen[place]}")
        seen.setdefault(place, row.line)
        problems += [Problem(str(file), f"line {row.line}", fault) for fault in faults]
        if not faults:
            peaks.append(_number(row.cells["peak_score"]))
            cuts += [_number(row.cells[CUT_AT])] if CUT_AT in row.cells else []
            answers.append([_ANSWERS[_answer(row.cells, name)] for name in REVIEWERS])
    if problems:
        raise DataError(f"{counted(len(problems), 'mistake')} in the review table", problems)
    verdicts = np.array(answers, dtype=bool).reshape(-1, 2)
    return Review(peaks=np.array(peaks), verdicts=verdicts, cut_at=max(cuts, default=None))


def write_precision(found: Sequence[ReviewedPrecision], folder: Path) -> list[Path]:
    """Write the precision curve as CSV, PNG and SVG."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(ReviewedPrecision)])
    for row in found:
        writer.writerow(["" if math.isnan(number) else number for number in astuple(row)])
    file = folder / "precision.csv"
    write_whole(file, text.getvalue().encode())
    return [file, *save_figure(precision_figure(found), folder, "precision")]


def precision_table(found: Sequence[ReviewedPrecision]) -> Table:
    """Return the precision curve as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    names = ("threshold", "sequences", "both yes", "precision", "95 % interval", "agreement", "Cohen's kappa")
    for name in names:
        table.add_column(name, justify="right")
    for row in found:
        interval = f"{row.low:.3f} to {row.high:.3f}" if row.sequences else "-"
        shares = [
            "-" if math.isnan(number) else f"{number:.3f}"
            for number in (row.precision, row.agreement, row.kappa)
        ]
        threshold = (
            f"{row.threshold:.2f}" if row.threshold == round(row.threshold, 2) else f"{row.threshold:g}"
        )
        table.add_row(threshold, f"{row.sequences}", f"{row.positives}", shares[0], interval, *shares[1:])
    return table


def _read_rows(file: Path) -> list[TableRow]:
    try:
        rows = parse_table(decode_text(read_limited(file, _MAX_BYTES)), COLUMNS)
    except (OSError, ValueError) as error:
        raise DataError("cannot read the review table as CSV", file=file, reason=error) from error
    if not rows:
        raise DataError("the review table has no rows", file=file)
    return rows


def _number(cell: str) -> float:
    """Return the number in a cell; some spreadsheets write its decimal sign as a comma."""
    return float(cell.replace(",", "."))


def _row_faults(row: Mapping[str, str]) -> list[str]:
    faults = [
        f"expected a {name} from 0 to 1, got {row[name]!r:.40}"
        for name in ("peak_score", CUT_AT)
        if name in row and not _is_share(row[name])
    ]
    faults += [
        f"expected yes or no under {name}, got {row[name]!r:.40}"
        for name in REVIEWERS
        if _answer(row, name) not in _ANSWERS
    ]
    return faults


def _is_share(cell: str) -> bool:
    try:
        return 0.0 <= _number(cell) <= 1.0
    except ValueError:
        return False


def _answer(row: Mapping[str, str], name: str) -> str:
    return row[name].casefold()

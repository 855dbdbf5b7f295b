"""Tables that compare two studies or two trials, with paired differences and their intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import typer
from rich.table import Table

from hpo.journal.paired import PairedDifference
from hpo.report.console import print_table
from hpo.report.formats import value
from hpo.report.stage_tables import format_difference
from hpo.tasks.base.networks import NetworkDifference
from hpo.tasks.base.splits import counted_items

SPLITS = {"valid": "validation", "test": "test"}
"""Name of a split in options -> its name in sentences."""
Cell = float | int | str | None
Pair = tuple[Cell, Cell]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedRow:
    """A configuration that both studies trained."""

    stage: str
    configuration: str
    same_parameters: bool
    seeds: int
    """Number of seeds with which both studies trained it."""
    means: tuple[float, float]
    """Mean scores over the common seeds, or over all seeds if there are no common ones."""
    difference: PairedDifference | None
    """Mean difference, first minus second. None if the scores cannot be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything that ``hpo compare`` shows."""

    names: tuple[str, str]
    split: str
    settings: Mapping[str, Pair]
    """Settings that differ between the studies."""
    scores: Mapping[str, Pair]
    """Scores of the best configurations, or of the trials."""
    parameters: Mapping[str, Pair]
    """Hyperparameters of the best configurations, or of the trials, by symbol."""
    paired: Sequence[PairedRow] = ()
    networks: NetworkDifference | None = None
    """Comparison of the networks of two trials on the same items of the split."""
    unit: str = "items"
    """Name of the items of a split, such as ``games``."""
    remarks: Sequence[str] = field(default=())
    """Reasons why scores cannot be compared."""


def show_comparison(comparison: Comparison) -> None:
    """Print the comparison as text."""
    split = SPLITS[comparison.split]
    if comparison.settings:
        typer.echo("Settings that differ")
        print_table(_side_by_side(comparison.names, _texts(comparison.settings)))
    else:
        typer.echo("All settings are the same")
    means = ", means over the seeds" if "seeds" in comparison.parameters else ""
    typer.echo(f"\nScores on the {split} split{means}, and hyperparameters")
    scores = {
        name: ["-" if cell is None else f"{cell:.4f}" for cell in pair]
        for name, pair in comparison.scores.items()
    }
    print_table(_side_by_side(comparison.names, {**scores, **_texts(comparison.parameters)}))
    if comparison.paired:
        typer.echo(f"\nPaired differences, {' minus '.join(comparison.names)}, {split} split")
        print_table(_paired_table(comparison))
    if comparison.networks is not None:
        typer.echo(f"\n{networks_line(comparison.networks, comparison.unit, comparison.split)}")
    for remark in comparison.remarks:
        typer.echo(f"note: {remark}")


def networks_line(found: NetworkDifference, unit: str, split: str) -> str:
    """Describe the difference of two networks on the same items."""
    clear = "clear" if found.low > 0 or found.high < 0 else "not clear"
    items = f"{counted_items(found.items, unit)} of the {SPLITS[split]} split"
    return (
        f"On the same {items}: {found.scores[0]:.4f} against "
        f"{found.scores[1]:.4f}, difference {found.difference:+.4f} "
        f"(95 % interval over {found.draws:,} draws of the {unit}: {found.low:+.4f} to {found.high:+.4f}; "
        f"{clear})"
    )


def comparison_record(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as JSON; the half width of an unknown interval is null."""
    record = asdict(comparison)
    for row, written in zip(comparison.paired, record["paired"], strict=True):
        if row.difference is not None:
            written["difference"]["half_width"] = _finite(row.difference.half_width)
    if comparison.networks is not None:
        record["networks"]["difference"] = comparison.networks.difference
    return record


def _texts(rows: Mapping[str, Pair]) -> dict[str, list[str]]:
    return {name: _pair_texts(pair) for name, pair in rows.items()}


def _pair_texts(pair: Pair) -> list[str]:
    """Return both cells as text, with all digits where different numbers would look the same."""
    short = ["-" if cell is None else value(cell) for cell in pair]
    return [repr(cell) for cell in pair] if short[0] == short[1] and pair[0] != pair[1] else short


def _side_by_side(names: tuple[str, str], rows: Mapping[str, Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right", overflow="fold")
    for name, pair in rows.items():
        table.add_row(name, *pair)
    return table


def _paired_table(comparison: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("stage", "configuration", "parameters"):
        table.add_column(name)
    for name in ("common seeds", *comparison.names, "difference"):
        table.add_column(name, justify="right")
    for row in comparison.paired:
        table.add_row(
            row.stage,
            row.configuration,
            "the same" if row.same_parameters else "differ",
            str(row.seeds),
            *(f"{mean:.4f}" for mean in row.means),
            format_difference(row.difference) or "-",
        )
    return table


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None

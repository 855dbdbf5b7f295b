"""The page of a study: everything a person wants to know of it, in one file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from hpo.report.html import ShownFigure, render
from model.errors import UserError
from model.files import write_whole

Facts = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTable:
    """A table on the page: cells as people read them."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSection:
    """What the page tells of one stage."""

    name: str
    facts: Facts
    tables: Sequence[ShownTable]
    remarks: Sequence[str]
    figures: Sequence[ShownFigure]
    failures: Sequence[str]
    """Figures that could not be drawn, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysesSection:
    """Figures of ``hpo analyse``."""

    heading: str
    figures: Sequence[ShownFigure]
    remark: str
    """What is to be said where there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPage:
    """All sections, from top to bottom."""

    study: str
    identity: str
    """Tells the study from others of its name."""
    summary: str
    """One line: how the study stands."""
    asked: Facts
    data: Facts
    stages: Sequence[StageSection]
    best: ShownTable
    analyses: AnalysesSection
    failures: ShownTable
    notes: Sequence[str]
    cost: ShownTable
    commands: Sequence[str]
    files: Mapping[str, str]
    """Name -> content of files that the commands read."""

    def html(self) -> str:
        """The whole page; it loads nothing."""
        with_plotly = any(stage.figures for stage in self.stages)
        return render("study.html", with_plotly=with_plotly, title=f"Study {self.study}", page=self)

    def write(self, file: Path) -> None:
        """Write the page; a file that is there is replaced.

        Raises:
            UserError: It cannot be written.
        """
        try:
            write_whole(file, self.html().encode())
        except OSError as error:
            raise UserError(f"the page cannot be written: {error.strerror}", file=file) from None


def shown_table(table: Table, *, caption: str = "") -> ShownTable:
    """A table of the terminal."""
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    return ShownTable(
        header=[str(column.header) for column in table.columns],
        rows=list(zip(*columns, strict=True)),
        caption=caption,
    )

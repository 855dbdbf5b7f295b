"""Content of the page of a study, which is one HTML file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from hpo.report.html import ShownFigure, render
from model.errors import UserError
from model.files import write_whole
from model.shell import shell_line

Facts = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTable:
    """A table on the page, with formatted cells."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSection:
    """Section of the page about one stage."""

    name: str
    facts: Facts
    tables: Sequence[ShownTable]
    remarks: Sequence[str]
    figures: Sequence[ShownFigure]
    failures: Sequence[str]
    """Figures that could not be drawn, with reasons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysesSection:
    """Section with the figures of ``hpo analyse``."""

    heading: str
    figures: Sequence[ShownFigure]
    remark: str
    """Text that is shown if there are no figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPage:
    """All sections of the page, from top to bottom."""

    study: str
    identity: str
    """Identifier that distinguishes the study from others of the same name."""
    summary: str
    """State of the study in one line."""
    verdict: str
    """Result of the study in one sentence; empty while no trial has a score."""
    settings: Facts
    data: Facts
    stages: Sequence[StageSection]
    best: ShownTable
    analyses: AnalysesSection
    failures: ShownTable
    notes: Sequence[str]
    cost: ShownTable
    commands: Sequence[str]
    files: Mapping[str, str]
    """Files that the commands read: name -> content."""

    def html(self) -> str:
        """Return the HTML of the page, which loads nothing from the network."""
        with_plotly = any(stage.figures for stage in self.stages)
        return render("study.html", with_plotly=with_plotly, title=f"Study {self.study}", page=self)

    def write(self, file: Path) -> None:
        """Write the page, replacing an existing file.

        Raises:
            UserError: The file cannot be written.
        """
        try:
            write_whole(file, self.html().encode(errors="backslashreplace"))
        except OSError as error:
            elsewhere = shell_line("hpo", "report", self.study, "--to", "FILE")
            raise UserError(
                f"cannot write the page: {error.strerror}",
                file=file,
                fix=f"write it and the texts for a paper elsewhere: {elsewhere}",
            ) from None


def shown_table(table: Table, *, caption: str = "") -> ShownTable:
    """Convert a table for the terminal to a table for the page."""
    columns = [[str(cell) for cell in column.cells] for column in table.columns]
    return ShownTable(
        header=[str(column.header) for column in table.columns],
        rows=list(zip(*columns, strict=True)),
        caption=caption,
    )

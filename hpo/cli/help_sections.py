"""Help texts in sections: commands by what they are for, and options of ``hpo run`` by what they concern."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer

COMMANDS: Mapping[str, Sequence[str]] = {
    "Search": ("run", "resume", "stop", "submit", "sync"),
    "Results": ("list", "status", "best", "show", "report", "ui", "compare", "reproduce", "export"),
    "Trained networks": ("evaluate", "spot", "analyse", "highlights", "precision", "import-weights"),
    "Data and upkeep": ("data", "rename", "delete", "clean", "bench", "doctor"),
}
"""Title of a section -> its commands."""
OPTIONS: Mapping[str, Sequence[str]] = {
    "Data": ("features", "data", "data_uri", "games", "labels", "skip_missing"),
    "Time": ("hours", "until", "stop_when"),
    "Machine": ("concurrent", "array", "device", "ray_address", "notify"),
}
"""Title of a section -> names of its options; the others are those of the study."""
OTHER_OPTIONS = "Study"


class SectionedGroup(typer.core.TyperGroup):
    """Group whose help lists its commands by section."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the sections of ``COMMANDS``."""
        width = max(map(len, self.commands))
        for title, names in COMMANDS.items():
            limit = formatter.width - 6 - width
            rows = [(f"{name:<{width}}", self.commands[name].get_short_help_str(limit)) for name in names]
            with formatter.section(title):
                formatter.write_dl(rows)


class SectionedCommand(typer.core.TyperCommand):
    """Command whose help lists its options by section."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options of the study first, then the sections of ``OPTIONS``."""
        section_of = {name: title for title, names in OPTIONS.items() for name in names}
        sections: dict[str, list[tuple[str, str]]] = {title: [] for title in (OTHER_OPTIONS, *OPTIONS)}
        for option in self.get_params(ctx):
            if record := option.get_help_record(ctx):
                sections[section_of.get(option.name or "", OTHER_OPTIONS)].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

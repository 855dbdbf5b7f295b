"""Page of all commands with their arguments and options, as ``--help`` shows them."""

import textwrap
from collections.abc import Iterator
from typing import Any

import typer.main

from hpo.cli.main import app
from reference_pages.markdown import code, table

_INTRODUCTION = """# Commands

Every command, argument and option, as `hpo COMMAND --help` shows them. Options of a command can be given in
any order.
"""


def page() -> str:
    """Return the page."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("hpo", ["status"])
    sections = [_section(name, command, context) for name, command in commands(group, context)]
    return "\n".join([_INTRODUCTION, *sections])


def commands(group: Any, context: Any, name: str = "hpo") -> Iterator[tuple[str, Any]]:
    """Yield the full name of every command below ``group``, and the command; groups come before their own."""
    yield name, group
    for below in group.list_commands(context):
        command = group.get_command(context, below)
        if hasattr(command, "list_commands"):
            yield from commands(command, context, f"{name} {below}")
        else:
            yield f"{name} {below}", command


def _section(name: str, command: Any, context: Any) -> str:
    rows = [_row(parameter, context) for parameter in command.params]
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    parts = [f"## {name}\n", textwrap.dedent(command.help or "").strip() + "\n", f"```text\n{usage}\n```\n"]
    if rows:
        parts.append(table(["argument or option", "meaning"], rows))
    return "\n".join(parts)


def _row(parameter: Any, context: Any) -> tuple[str, str]:
    written, meaning = parameter.get_help_record(context)
    if parameter.param_type_name == "argument":
        written = parameter.metavar or parameter.name.upper()
    return code(written), meaning.replace("<", "&lt;")

"""Check of command lines as ``hpo`` parses them, without running them."""

from collections.abc import Sequence
from typing import Any

import pytest
import typer.main

from hpo.cli.main import app


def fault_of(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what the command line says against ``words``, which follow ``hpo``; empty if it takes them."""
    try:
        _parse(list(words))
    except SystemExit as end:
        return capsys.readouterr().err or "ended" if end.code else ""
    except Exception as error:
        # Exit: --help has been printed.
        return "" if type(error).__name__ == "Exit" else f"{type(error).__name__}: {error}"
    return ""


def _parse(words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    context = command.make_context("hpo", ["status"])
    while hasattr(command, "get_command") and words and not words[0].startswith("-"):
        name, *words = words
        command = command.get_command(context, name)
        assert command is not None, f"there is no command {name}"
    if not hasattr(command, "get_command") or words:
        command.make_context("hpo", words, parent=context)

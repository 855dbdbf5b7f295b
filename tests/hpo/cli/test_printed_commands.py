"""Commands in errors and advice: each is one that the command line has, with options that it takes."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from hpo.cli.main import app

ROOT = Path(__file__).parents[3]
COMMAND = re.compile(r"\bhpo(?: [^\s,;:|()`\"]+)+")


def printed_texts(file: Path) -> Iterator[tuple[int, str]]:
    """Strings of a module, VALUE in place of what is filled in; without help texts and docstrings."""
    tree = ast.parse(file.read_text())
    left_out = {id(node) for node in docstrings_and_help(tree)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in left_out | parts:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(filled(part) for part in node.values)


def docstrings_and_help(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            yield node.value
        elif isinstance(node, ast.keyword) and node.arg == "help":
            yield from ast.walk(node.value)


def filled(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    return "" if ast.unparse(part.value) == "options" else "VALUE"


def printed_commands() -> list[tuple[str, str]]:
    return [
        (f"{file.relative_to(ROOT)}:{line}", found.group())
        for package in ("hpo", "model")
        for file in sorted((ROOT / package).rglob("*.py"))
        for line, text in printed_texts(file)
        for found in COMMAND.finditer(text)
    ]


def parse(words: list[str]) -> None:
    """Parse a command line as ``hpo`` does, without running it."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("hpo", ["status"])
    while hasattr(command, "get_command") and not words[0].startswith("-"):
        name, *words = words
        command = command.get_command(context, name)
        assert command is not None, f"there is no command {name}"
    command.make_context("hpo", words, parent=context)


COMMANDS = printed_commands()


def test_the_program_prints_commands() -> None:
    assert len(COMMANDS) >= 20


@pytest.mark.parametrize(("place", "command"), COMMANDS, ids=[f"{p} {c}" for p, c in COMMANDS])
def test_printed_command_can_be_typed(place: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(command.removesuffix("."))[1:]
    try:
        parse(["3" if word == "VALUE" else word for word in words])
    except SystemExit as end:
        assert not end.code, f"{place}: {command}: {capsys.readouterr().err}"
    except Exception as error:
        assert type(error).__name__ == "Exit", f"{place}: {command}: {error}"  # --help has been printed

"""Commands in errors and advice: each is one that the command line has, with options that it takes."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest
from typed_commands import fault_of

ROOT = Path(__file__).parents[3]
COMMAND = re.compile(r"\bhpo(?: [^\s,;:|()`\"]+)+")


def printed_texts(file: Path) -> Iterator[tuple[int, str]]:
    """Strings of a module, VALUE in place of what is filled in; without help texts and docstrings."""
    tree = ast.parse(file.read_text())
    left_out = {id(node) for node in docstrings_and_help(tree)}
    left_out |= {
        id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
    }
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if is_shell_line(node):
            yield node.lineno, filled(node)
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


def filled(part: ast.AST) -> str:
    """Text of a part, VALUE in place of what is filled in; a name for several options is left out."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    if isinstance(part, ast.FormattedValue):
        return filled(part.value)
    if is_shell_line(part):
        return " ".join(filled(word) for word in part.args)
    return "" if ast.unparse(part) == "options" or isinstance(part, ast.Starred) else "VALUE"


def is_shell_line(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "shell_line"


def printed_commands() -> list[tuple[str, str]]:
    return [
        (f"{file.relative_to(ROOT)}:{line}", found.group())
        for package in ("hpo", "model")
        for file in sorted((ROOT / package).rglob("*.py"))
        for line, text in printed_texts(file)
        for found in COMMAND.finditer(text)
    ]


COMMANDS = printed_commands()


def test_the_program_prints_commands() -> None:
    assert len(COMMANDS) >= 20


@pytest.mark.parametrize(("place", "command"), COMMANDS, ids=[f"{p} {c}" for p, c in COMMANDS])
def test_printed_command_can_be_typed(place: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(command.removesuffix("."))[1:]
    fault = fault_of(["3" if word == "VALUE" else word for word in words], capsys)
    assert not fault, f"{place}: {command}: {fault}"

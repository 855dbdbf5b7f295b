"""The first line of a public docstring stands alone in hover help (style guide, section 12)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = ("hpo", "model")
"""Packages whose docstrings are checked."""
FRAGMENTS = frozenset(
    "also and as because but each every for from how if it its nor of or so such that their these they this "
    "those though what when where which whichever who whoever whose with without none".split()
)
"""First words of a subordinate clause, or of a phrase that needs the sentence before it."""
ROOT = Path(__file__).parent.parent


def first_lines(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line number and first line of every public docstring, those of constants and fields included."""
    yield from docstring_of(tree)
    pending: list[ast.Module | ast.ClassDef | ast.FunctionDef] = [tree]
    while pending:
        parent = pending.pop()
        for before, node in zip([None, *parent.body], parent.body, strict=False):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                if is_private(node.name):
                    continue
                yield from docstring_of(node)
                if isinstance(node, ast.ClassDef) or (
                    isinstance(node, ast.FunctionDef) and node.name == "__init__"
                ):
                    pending.append(node)
            elif isinstance(before, ast.Assign | ast.AnnAssign) and not is_private(named(before)):
                yield from text_of(node)


def docstring_of(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
) -> Iterator[tuple[int, str]]:
    if node.body:
        yield from text_of(node.body[0])


def text_of(node: ast.stmt) -> Iterator[tuple[int, str]]:
    if (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ):
        yield node.lineno, node.value.value.strip().splitlines()[0]


def named(node: ast.Assign | ast.AnnAssign) -> str:
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    if isinstance(target, ast.Attribute):
        return target.attr
    return target.id if isinstance(target, ast.Name) else ""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def is_fragment(line: str) -> bool:
    first = line.split()[0].strip(",;:.")
    return first.lower() in FRAGMENTS or first[0].islower()


@pytest.mark.parametrize("package", PACKAGES)
def test_first_line_of_a_docstring_is_a_sentence_or_a_noun_phrase(package: str) -> None:
    faults = [
        f"{file.relative_to(ROOT)}:{number}: {line}"
        for file in sorted((ROOT / package).rglob("*.py"))
        for number, line in first_lines(ast.parse(file.read_text()))
        if is_fragment(line)
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "line",
    [
        "Of each of them.",
        "None where there is none.",
        "With the stage's settings put in.",
        "and this for all.",
    ],
)
def test_fragments_are_found(line: str) -> None:
    source = f'"""Module."""\n\nclass Spots:\n    """Spots."""\n\n    score: float\n    """{line}"""\n'
    assert [text for _, text in first_lines(ast.parse(source)) if is_fragment(text)] == [line]


def test_private_names_and_sentences_pass() -> None:
    private = '_EDGE = 1\n"""Of the chunk."""\n\ndef _cut() -> None:\n    """Where to cut."""\n'
    assert not [
        text for _, text in first_lines(ast.parse(f'"""Read spots."""\n\n{private}')) if is_fragment(text)
    ]

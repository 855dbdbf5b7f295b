"""Commands, Python, study files and data descriptions in the pages are those that the program takes."""

import ast
import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from documentation.pages import PAGES, ROOT, Block, blocks, prose
from typed_commands import fault_of

import hpo
from hpo.tasks.base.registry import parse_study
from model.data.labels.label_file import read_actions
from model.data.layout.description import parse_description

STAND_INS = {
    "N": "3",
    "H": "3",
    "TRAIN,VALID": "2,1",
    "STAGE": "bayes",
    "HOST:8265": "host:8265",
}
"""Words in place of which a user types a number or a name -> such a one."""


def commands_of(page: Path) -> Iterator[tuple[str, str, bool]]:
    """Place and text of every command of ``hpo`` in a page, and whether it is in a block, not a sentence."""
    for block in blocks(page, "sh"):
        joined = re.sub(r"\\\n\s*", " ", block.text)
        for number, line in enumerate(joined.splitlines(), block.line + 1):
            for part in re.split(r"&&|;|\s\|\s", re.sub(r"(^|\s)#.*", "", line)):
                words = part.split()
                if words and re.fullmatch(r"(\S*/)?hpo", words[0]):
                    yield f"{page.relative_to(ROOT)}:{number}", part.strip(), True
    for number, line in enumerate(_whole_code(prose(page)).splitlines(), 1):
        for found in re.finditer(r"`(hpo [a-z][^`]*)`", line):
            yield f"{page.relative_to(ROOT)}:{number}", found[1], False


def _whole_code(text: str) -> str:
    """Join code in a sentence that goes over the end of a line."""
    return re.sub(r"`[^`\n]*\n[^`\n]*`", lambda found: found[0].replace("\n", " "), text)


COMMANDS = [entry for page in PAGES for entry in commands_of(page)]


def test_the_pages_show_commands() -> None:
    shown = {place.split(":")[0] for place, _, _ in COMMANDS}
    assert len(COMMANDS) >= 100
    assert {"README.md", "docs/tutorials/first-study.md", "docs/how-to/cluster.md"} <= shown


@pytest.mark.parametrize(("place", "command", "whole"), COMMANDS, ids=[f"{p} {c}" for p, c, _ in COMMANDS])
def test_command_can_be_typed(
    place: str, command: str, whole: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.strip("[]") for word in shlex.split(command)[1:] if word != "..."]
    fault = fault_of([STAND_INS.get(word, word) for word in words], capsys)
    if not whole and command.count(" --") < 2 and fault.startswith("MissingParameter"):
        return  # a sentence may name a command, or an option of it, without what the command needs
    assert not fault, f"{place}: {command}: {fault}"


PYTHON = [block for page in PAGES for block in blocks(page, "python")]


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.place)
def test_python_calls_functions_with_arguments_that_they_have(block: Block) -> None:
    tree = ast.parse(block.text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("hpo."):
            function = getattr(hpo, node.func.attr)  # type: ignore[attr-defined]
            named = {word.arg: None for word in node.keywords if word.arg}
            inspect.signature(function).bind(*[None] * len(node.args), **named)
        elif isinstance(node, ast.Attribute) and ast.unparse(node).startswith("hpo.events."):
            assert hasattr(hpo.events, node.attr), f"{block.place}: hpo.events has no {node.attr}"
        elif isinstance(node, ast.Call) and "import hpo\n" in block.text:
            if method := re.fullmatch(r"study\.(\w+)", ast.unparse(node.func)):
                assert hasattr(hpo.Study, method[1]), f"{block.place}: hpo.Study has no {method[1]}"


TOML = [block for page in PAGES for block in blocks(page, "toml")]


@pytest.mark.parametrize("block", TOML, ids=lambda block: block.place)
def test_toml_is_a_study_file_or_describes_data(block: Block) -> None:
    document = tomllib.loads(block.text)
    if "classes" in document:
        parse_description(block.text.encode(), source=block.place)
        return
    if document.get("task", "calf") == "calf":  # another one is not installed here
        search = document.get("stages", {}).get("bayes")
        if search is not None:
            search.setdefault("trials", 1)
        parse_study({"task": "calf", **document}, file=block.place)


JSON = [block for page in PAGES for block in blocks(page, "json")]


@pytest.mark.parametrize("block", JSON, ids=lambda block: block.place)
def test_labels_are_read_with_the_description_of_their_page(block: Block, tmp_path: Path) -> None:
    (description,) = [toml for toml in blocks(block.page, "toml") if "[classes]" in toml.text]
    file = tmp_path / "Labels.json"
    file.write_text(block.text)
    actions = read_actions(file, parse_description(description.text.encode(), source=description.place))
    assert len(actions) == block.text.count("gameTime") > 0

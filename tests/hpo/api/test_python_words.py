"""Errors in Python's words, and that every option of the command line has a form in Python."""

import inspect
from typing import Any

import pytest
import typer.main

import hpo
from hpo.api.python_words import argument_of, in_python, python_words
from hpo.cli.main import app
from model.errors import ConfigError

SETTINGS = {
    *("array", "concurrent", "final_epochs", "replicates", "scheduler", "searcher", "seeds", "stop_when"),
}
"""Keys of stages, which ``hpo.run`` takes as they come."""
IN_ANOTHER_FUNCTION = {"dry_run"}
"""``hpo.plan``."""


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("--trials is for a search", "trials= is for a search"),
        ("expected --warm-start with --data FOLDER", "expected warm_start= with data=FOLDER"),
        ("use --from or --data-uri", "use start= or data="),
        ("add --data; hpo data check --data X", "add data=; hpo data check --data X"),
        ("resume with: hpo resume mine --data FOLDER", "resume with: hpo resume mine --data FOLDER"),
        ("a -- b --- c", "a -- b --- c"),
        ("no /data/a--b/x, nor /--c", "no /data/a--b/x, nor /--c"),
        ("with --trials 12 (--study chooses)", "with trials=12 (study= chooses)"),
        ("got --labels v2 or --study 'a b'", "got labels=v2 or study='a b'"),
    ],
)
def test_options_become_arguments_except_in_commands(typed: str, told: str) -> None:
    assert in_python(typed) == told


def test_error_keeps_its_kind_and_all_its_lines() -> None:
    with pytest.raises(ConfigError) as refused, python_words():
        raise ConfigError("no --data", fix="add --data FOLDER")
    assert str(refused.value) == "no data=\n  fix: add data=FOLDER"


def options_of(*words: str) -> set[str]:
    command: Any = typer.main.get_command(app)
    for word in words:
        command = command.commands[word]
    long = [max(each.opts, key=len) for each in command.params if each.opts[0].startswith("--")]
    return {argument_of(option.removeprefix("--")) for option in long}


@pytest.mark.parametrize("stage", ["bayes", "paper", "final"])
def test_every_option_of_run_has_a_form_in_python(stage: str) -> None:
    typed = options_of("run", stage) - {"help"}
    arguments = set(inspect.signature(hpo.run).parameters) | SETTINGS | IN_ANOTHER_FUNCTION
    assert typed <= arguments


def test_every_option_of_resume_has_a_form_in_python() -> None:
    assert options_of("resume") - {"help"} <= set(inspect.signature(hpo.Study.resume).parameters)


def test_plan_takes_what_run_takes() -> None:
    assert inspect.signature(hpo.plan).parameters == inspect.signature(hpo.run).parameters

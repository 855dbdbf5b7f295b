"""The reference names everything that the code accepts, each with its meaning."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import reference_pages
import typer.main
from reference_pages import names
from reference_pages.journal import kinds

import hpo
from hpo.cli.main import app
from hpo.tasks.base.registry import description_named, known_tasks
from model.data.layout.description_table import KEYS

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(r"(HPO|RAY|MLFLOW|MPL)[A-Z_]*[A-Z]|TMPDIR|PYTHONPATH|NO_PROXY")
SET_FOR_OTHERS = re.compile(
    r"RAY_(AIR|USAGE|ACCEL|CHDIR|DEDUP|ENABLE|JOB|API)_.*|MLFLOW_(?!TRACKING_URI$).*|RAY_JOB_CONFIG_JSON_ENV_VAR"
)
"""Variables that the program sets for libraries, which a user does not."""


@cache
def page(name: str) -> str:
    return reference_pages.pages()[f"reference/{name}.md"]


def section(text: str, heading: str) -> str:
    """Text below a heading up to the next one of its level or above."""
    level = heading.split()[0]
    assert f"{heading}\n" in text, f"the page lacks {heading!r}"
    below = text.split(f"{heading}\n", 1)[1]
    return re.split(rf"^#{{1,{len(level)}}} ", below, flags=re.MULTILINE)[0]


def rows(text: str) -> dict[str, list[str]]:
    """First cell of every row of the tables, without quotes -> its other cells."""
    # A bar in code belongs to the code.
    bar = r"(?<!\\)\|(?=(?:[^`]*`[^`]*`)*[^`]*$)"
    cells = [re.split(bar, line)[1:-1] for line in text.splitlines() if line.startswith("| `")]
    plain = [[cell.replace("\\|", "|").strip() for cell in row] for row in cells]
    return {first.strip("`"): rest for first, *rest in plain}


def every_command(group: Any, context: Any, name: str = "hpo") -> Iterator[tuple[str, Any]]:
    yield name, group
    for below in getattr(group, "list_commands", lambda _: ())(context):
        yield from every_command(group.get_command(context, below), context, f"{name} {below}")


GROUP: Any = typer.main.get_command(app)
COMMANDS = dict(every_command(GROUP, GROUP.make_context("hpo", ["status"])))


def test_there_are_commands() -> None:
    assert {"hpo", "hpo run", "hpo run bayes", "hpo data check", "hpo status"} <= COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_reference(name: str) -> None:
    described = rows(section(page("commands"), f"## {name}"))
    assert all(meaning for (meaning,) in described.values()), described
    words = {word.strip(",") for written in described for word in written.replace("/", " ").split()}
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option":
            assert set(parameter.opts) | set(parameter.secondary_opts) <= words, f"{name} {parameter.opts}"
        else:
            assert parameter.metavar in described, f"{name} {parameter.name}"


def keys_of(schema: dict[str, Any], definitions: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Path of the table and key of everything that a study file may hold, by its JSON schema."""
    for key, value in schema.get("properties", {}).items():
        yield path, key
        below = value.get("additionalProperties", {})
        for part, step in ((value, key), (below if isinstance(below, dict) else {}, f"{key}.CLASS")):
            for name in referred(part):
                model = definitions[name]
                if model.get("properties") and name not in ("FloatRange", "IntRange", "Choice"):
                    yield from keys_of(model, definitions, f"{path}.{step}".lstrip("."))


def referred(part: dict[str, Any]) -> list[str]:
    places = [part, *part.get("anyOf", []), *part.get("allOf", [])]
    return [place["$ref"].rsplit("/", 1)[1] for place in places if "$ref" in place]


@pytest.mark.parametrize("task", known_tasks())
def test_every_key_of_a_study_file_is_in_the_reference(task: str) -> None:
    schema = description_named(task).study_file.model_json_schema(by_alias=True)
    keys = list(keys_of(schema, schema["$defs"]))
    assert ("training", "epochs") in keys and len(keys) > 50
    for path, key in keys:
        heading = f"### {task}: [{path}]" if path else f"### {task}: top of the file"
        described = rows(section(page("study-file"), heading))
        assert key in described, f"{path}.{key}"
        kind, unit, default, meaning = described[key]
        assert kind and unit and default and meaning, f"{path}.{key} lacks its type, unit, default or meaning"


@pytest.mark.parametrize(
    ("kind", "keys"),
    [("float", "type low high log when"), ("int", "type low high log when"), ("choice", "type choices when")],
)
def test_every_key_of_a_space_is_in_the_reference(kind: str, keys: str) -> None:
    described = rows(section(page("study-file"), f'### type = "{kind}"'))
    assert set(described) == set(keys.split())
    assert all(all(cells) for cells in described.values())


def test_every_key_of_a_data_set_is_in_the_reference() -> None:
    described = rows(page("dataset-toml"))
    assert set(described) == set(KEYS)
    assert all(all(cells) for cells in described.values())


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_field_of_an_event_is_in_the_reference(kind: type) -> None:
    described = rows(section(page("journal"), f"## {fields(kind)[0].default}"))
    assert set(described) == {field.name for field in fields(kind)}
    assert all(all(cells) for cells in described.values()), described


def test_every_name_of_the_package_is_in_the_reference() -> None:
    for name in hpo.__all__:
        assert re.search(rf"^##+ hpo\.{name}$", page("python"), re.MULTILINE), name
    for name in ("run", "plan", "open_study"):
        assert section(page("python"), f"### hpo.{name}").count("- `") >= 1


def texts_of_code(folder: str) -> set[str]:
    """Every string in the code of a folder, docstrings included."""
    return {
        node.value
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_variable_that_a_user_sets_is_in_the_reference() -> None:
    texts = texts_of_code("hpo") | texts_of_code("model")
    used = {text for text in texts if VARIABLE.fullmatch(text) and not SET_FOR_OTHERS.fullmatch(text)}
    assert used == set(names.VARIABLES)
    assert set(rows(page("environment"))) == used


def test_every_tag_in_mlflow_is_in_the_reference() -> None:
    # Names of the modules of hpo look like tags.
    modules = {f"hpo.{path.stem}" for path in (ROOT / "hpo").iterdir()}
    found = {text for text in texts_of_code("hpo/tracking") if re.fullmatch(r"hpo\.[a-z_]+\.?", text)}
    assert found - modules <= set(names.TAGS)
    assert set(names.TAGS) <= texts_of_code("hpo"), "no code sets the others"
    assert set(names.TAGS) <= set(rows(page("mlflow")))


def test_metrics_and_artifacts_of_the_reference_are_names_in_the_code() -> None:
    # test_mlflow_tracker.py checks the other way that what a study records is in the reference.
    texts = {
        "metric": texts_of_code("hpo/tracking") | texts_of_code("model"),
        "artifact": texts_of_code("hpo"),
    }
    for kind, meanings in {"metric": names.METRICS, "artifact": names.ARTIFACTS}.items():
        fixed = {re.split("[A-Z]{2,}", name)[0] for name in meanings}
        absent = fixed - texts[kind] - {f"{text}/" for text in texts[kind]}
        assert not absent, f"no code writes the {kind} {absent}"
        assert set(meanings) <= set(rows(page("mlflow")))


def exit_codes() -> Iterator[int]:
    for file in (ROOT / "hpo").rglob("*.py"):
        if "bench" in file.parts and file.parent.name == "bench":
            continue  # processes that the check of the machine starts
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("typer.Exit", "sys.exit"):
                yield from (
                    arg.value
                    for arg in node.args
                    if isinstance(arg, ast.Constant) and isinstance(arg.value, int)
                )


def test_every_exit_code_is_in_the_reference() -> None:
    used = set(exit_codes())
    assert {1, 2, 130} <= used
    assert used | {0} == set(names.EXIT_CODES)
    assert all(f"| {code} |" in page("exit-codes") for code in used)

"""Page of the keys of study files."""

import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from hpo.config.sections import Section
from hpo.config.stages import Choice, FloatRange, IntRange
from hpo.tasks.base.registry import description_named, known_tasks
from reference_pages.docstrings import field_docstrings
from reference_pages.markdown import code, prose, table

_HEADING = ("key", "type", "unit", "default", "meaning")
_STUDY_FILE = """# Keys of a study file

A study file is a TOML file. It holds everything that a study searches and everything that stays fixed.
Unknown keys, text
in place of numbers and values outside their limits are errors, and one message lists all of them.

The defaults are those of the models in the code. `preset` and the study file's own values replace them. `hpo
run bayes
--dry-run` shows the values of a run.
"""
_SPACE = """## Hyperparameters in a space {#space}

A table such as `[stages.bayes.space]` has one line per hyperparameter: a range, a list of choices, or one
value, which
is then fixed.
"""
_UNITS = {
    "hours": "hours",
    "epochs": "epochs",
    "validate_every": "epochs",
    "grace_epochs": "epochs",
    "rate_drop_epochs": "epochs",
    "positions": "positions",
    "longest": "positions",
    "boundary_ratio": "proposal lengths",
}
_SUFFIXES = {"_s": "seconds", "_frames": "frames", "_positions": "positions"}


def page() -> str:
    """Return the page of a study file's keys, for every task."""
    parts = [_STUDY_FILE]
    for task in known_tasks():
        model = description_named(task).study_file
        parts.append(f"## Task {task}\n")
        parts += [_section(task, path, table_model) for path, table_model in tables(model)]
    parts.append(_SPACE)
    for declared in (FloatRange, IntRange, Choice):
        kind = get_args(declared.model_fields["type"].annotation)[0]
        parts += [f'### type = "{kind}"\n', prose(declared.__doc__), table(_HEADING, _rows(declared))]
    return "\n".join(parts)


def tables(model: type[Section], path: str = "") -> Iterator[tuple[str, type[Section]]]:
    """Yield the path of every table of a study file, such as ``stages.bayes``, and its model."""
    yield path, model
    for name, field in model.model_fields.items():
        below = _table_model(field)
        if below is not None:
            key = field.alias or name
            step = f"{key}.CLASS" if _is_table_of_tables(field) else key
            yield from tables(below, f"{path}.{step}".lstrip("."))


def unit_of(name: str) -> str:
    """Return the unit of the values under the key ``name``."""
    if name in _UNITS:
        return _UNITS[name]
    return next((unit for suffix, unit in _SUFFIXES.items() if name.endswith(suffix)), "none")


def _section(task: str, path: str, model: type[Section]) -> str:
    heading = f"### {task}: [{path}]" if path else f"### {task}: top of the file"
    return "\n".join([heading + "\n", prose(model.__doc__), table(_HEADING, _rows(model))])


def _rows(model: type[Section]) -> Iterator[tuple[str, str, str, str, str]]:
    described = field_docstrings(model)
    for name, field in model.model_fields.items():
        below = _table_model(field)
        meaning = described.get(name, "")
        if not meaning and below is not None:
            meaning = "Table; see below."
        yield code(field.alias or name), _type(field), unit_of(name), _default(field), meaning


def _table_model(field: FieldInfo) -> type[Section] | None:
    found = [
        part for part in _parts(field.annotation) if isinstance(part, type) and issubclass(part, Section)
    ]
    return found[0] if len(found) == 1 else None


def _is_table_of_tables(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is dict


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    if get_origin(annotation) is not Literal:
        for part in get_args(annotation):
            yield from _parts(part)


def _type(field: FieldInfo) -> str:
    if _table_model(field) is not None:
        return "table"
    limits = [limit for entry in field.metadata if (limit := _limit(entry))]
    return ", ".join([_type_of(field.annotation), *limits])


def _limit(entry: Any) -> str:
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "multiple_of": "a multiple of"}
    return ", ".join(
        f"{word} {getattr(entry, name):g}" for name, word in words.items() if hasattr(entry, name)
    )


def _type_of(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(code(f'"{value}"') for value in arguments)
    if origin is typing.Annotated:
        return _type_of(arguments[0])
    if origin in (typing.Union, types.UnionType):
        shown = dict.fromkeys(_type_of(part) for part in arguments if part is not type(None))
        if {"whole number", "number"} <= shown.keys():
            shown.pop("whole number")
        return " or ".join(shown)
    if origin is tuple:
        count = "list of" if arguments[-1] is ... else f"list of {len(arguments)}"
        return f"{count} {_type_of(arguments[0])}s"
    if origin is dict:
        return "table"
    return {int: "whole number", float: "number", str: "text", bool: "true or false"}.get(annotation, "table")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, Section):
        return "the keys' own"
    return code(_toml(value))


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case float():
            return f"{value:g}"
        case Section():
            return _toml(value.model_dump(by_alias=True))
        case dict():
            return "{" + ", ".join(f"{key} = {_toml(entry)}" for key, entry in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value)

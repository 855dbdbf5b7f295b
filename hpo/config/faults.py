"""Readable messages for pydantic's validation errors: the key, what was expected, what the file has."""

import difflib
import json
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_pattern_mismatch": "a name of lower-case letters, digits and dashes",
    "literal_error": "{expected}",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dict_type": "a table",
    "tuple_type": "a list",
    "too_short": "{min_length} or more entries",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number of {ge:g} or more",
    "less_than": "a number below {lt:g}",
    "less_than_equal": "a number of {le:g} or less",
    "multiple_of": "a multiple of {multiple_of:g}",
    "union_tag_not_found": "a value, or a table with a type: 'float', 'int' or 'choice'",
    "union_tag_invalid": "a table with a type: {expected_tags}",
    "expected": "{what}",
}
_SHOWN_CHARACTERS = 60


def describe_faults(error: ValidationError, root: type[BaseModel]) -> dict[str, str]:
    """Describe each invalid key of a ``root`` table in one line, by dotted key, in the order found."""
    lines: dict[str, list[str]] = {}
    found = error.errors()
    for fault in found:
        # A list whose entries are refused is not too short as well.
        if fault["type"] == "too_short" and any(_lies_in(other["loc"], fault["loc"]) for other in found):
            continue
        lines.setdefault(_dotted(fault["loc"]), []).append(_describe(fault, root))
    return {key: "; ".join(dict.fromkeys(texts)) for key, texts in lines.items()}


def _lies_in(inner: tuple[int | str, ...], outer: tuple[int | str, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _describe(fault: ErrorDetails, root: type[BaseModel]) -> str:
    if fault["type"] == "broken_rule":
        return fault["msg"]
    if fault["type"] == "extra_forbidden":
        return _unknown_key(_on_one_line(str(fault["loc"][-1])), list(_known_keys(fault["loc"][:-1], root)))
    expected = _EXPECTED[fault["type"]].format(**fault.get("ctx", {})) if fault["type"] in _EXPECTED else ""
    if fault["type"] == "missing":
        return "missing (needs a value)"
    return f"expected {expected or fault['msg']}, got {_shortened(fault['input'])}"


def _unknown_key(key: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.7)
    hint = f"did you mean {nearest[0]}? " if nearest else ""
    return f"unknown key; {hint}known keys: {', '.join(known)}"


def _known_keys(where: tuple[int | str, ...], root: type[BaseModel]) -> Iterator[str]:
    """Keys of the table at ``where``; parts that are no field, such as a stage's name, stay in the table."""
    models = [root]
    for part in where:
        fields = [
            field
            for model in models
            for name, field in model.model_fields.items()
            if part == (field.alias or name)
        ]
        if fields:
            models = [inner for field in fields for inner in _models_in(field.annotation)]
    return iter(
        dict.fromkeys(field.alias or name for model in models for name, field in model.model_fields.items())
    )


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _dotted(location: tuple[int | str, ...]) -> str:
    parts = [_on_one_line(str(part)) for part in location if part != "[key]"]
    # pydantic puts the type of a parameter between its name and its keys; a study file does not.
    if parts[2:3] == ["space"] and len(parts) > 4:
        del parts[4]
    return ".".join(parts)


def _on_one_line(key: str) -> str:
    shown = key if key.isprintable() else repr(key)
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[: _SHOWN_CHARACTERS - 3] + "..."


def _shortened(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."

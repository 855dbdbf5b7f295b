"""An event as one line of JSON, and back."""

import json
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from hpo.journal.events import AnyEvent, Event
from model.documents import parse_json

# A new event makes these up; one that is read must have them, or they would differ at each reading.
_MADE_UP = ("at", "identity")


@cache
def _codec() -> TypeAdapter[Event]:
    return TypeAdapter(Annotated[AnyEvent, Field(discriminator="event")])


def to_json(event: Event) -> str:
    """Return the event as one line of standard JSON without a line end; ``from_json`` reads it.

    Raises:
        ValueError: ``plan``, ``space`` or ``parameters`` contain a number that is not finite.
    """
    return json.dumps(_codec().dump_python(event, warnings=False), allow_nan=False)


def from_json(line: str | bytes) -> Event:
    """Read an event.

    Raises:
        ValueError: The line is no JSON object, its kind is unknown, or a field is missing, unknown
            or of another type than expected.
    """
    record = parse_json(line)
    if not isinstance(record, dict):
        raise ValueError(f"expected a JSON object, got {type(record).__name__}")
    try:
        event = _codec().validate_python(record)
    except ValidationError as error:
        raise ValueError(_complaint(record, error.errors(include_url=False))) from None
    for name in _MADE_UP:
        if name not in record and hasattr(event, name):
            raise ValueError(f"{event.event} lacks {name}")
    return event


def _complaint(record: dict[str, Any], problems: list[ErrorDetails]) -> str:
    kind = record.get("event")
    if not problems[0]["loc"]:
        known = ", ".join(str(fields(kind)[0].default) for kind in get_args(AnyEvent))
        return f"expected an event out of {known}, got {kind!r:.60}"
    # A place is the kind, the field, and whatever lies within the field.
    named = [(problem["type"], str(problem["loc"][1]), problem) for problem in problems]
    if missing := sorted(field for problem, field, _ in named if problem == "missing"):
        return f"{kind} lacks {', '.join(missing)}"
    if unknown := sorted(field for problem, field, _ in named if problem == "unexpected_keyword_argument"):
        return f"{kind} has no field {unknown[0]!r:.60}"
    problem, field, details = named[0]
    if problem == "value_error":
        return str(details["ctx"]["error"])
    return f"{kind}.{field} is of another type than expected: {record[field]!r:.60}"

"""Page of the events of a journal, from their records in the code."""

from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any, get_args

from hpo.journal import events
from reference_pages.docstrings import field_docstrings
from reference_pages.markdown import code, prose, table

_INTRODUCTION = """# Events of the journal

`studies/NAME/journal.jsonl` has one JSON object per line, in the order of time. Lines are only appended.
Numbers that are
not finite are the texts `"NaN"`, `"Infinity"` and `"-Infinity"`. In Python the events are the classes of
`hpo.events`;
`callbacks=[function]` calls a function after each one.
"""


def page() -> str:
    """Return the page."""
    return "\n".join([_INTRODUCTION, *map(_section, kinds())])


def kinds() -> list[type[events.Event]]:
    """Return the classes of all events."""
    return list(get_args(events.AnyEvent))


def _section(kind: type[events.Event]) -> str:
    heading = f"## {fields(kind)[0].default}\n\nPython: `hpo.events.{kind.__name__}`\n"
    return "\n".join(
        [heading, prose(kind.__doc__), table(("field", "type", "default", "meaning"), _rows(kind))]
    )


def _rows(kind: type[events.Event]) -> Iterator[tuple[str, str, str, str]]:
    described = field_docstrings(kind)
    for field in fields(kind):
        yield code(field.name), code(_type(field)), _default(field), described.get(field.name, "")


def _type(field: Field[Any]) -> str:
    kind = field.type
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    return _aliases().get(str(kind), name).replace("typing.", "")


def _aliases() -> dict[str, str]:
    return {
        str(events.Whole): "int",
        str(events.Number): "float",
        str(events.Number | None): "float | None",
        str(events.Moment): "ISO time",
        str(events.Moment | None): "ISO time | None",
        str(events.Point): "object of hyperparameters",
        str(dict[str, events.Number]): "object of numbers",
        str(dict[str, Any]): "object",
        str(dict[str, str]): "object of texts",
    }


def _default(field: Field[Any]) -> str:
    if field.default is not MISSING:
        return code(repr(field.default))
    return "required" if field.default_factory is MISSING else "made up"

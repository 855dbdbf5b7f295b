"""Page of the Python functions and classes, from their signatures and docstrings."""

import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import hpo
from hpo.programs.program import Program
from hpo.tasks.base.learner import Learner
from hpo.tasks.base.score import Score
from hpo.tasks.base.splits import DataRequest, DataShape, OpenedData, SplitRef
from hpo.tasks.base.task import Array, Slot, StageContext, Task
from reference_pages.docstrings import field_docstrings
from reference_pages.markdown import code, prose, table

_INTRODUCTION = """# Python

`import hpo` gives the names of the first part; the second part is the interface of a task of your own.
"""
_TASK = (
    Task,
    Learner,
    Slot,
    Array,
    SplitRef,
    DataRequest,
    OpenedData,
    DataShape,
    Score,
    StageContext,
    Program,
)


def page() -> str:
    """Return the page."""
    public = [(f"hpo.{name}", getattr(hpo, name)) for name in hpo.__all__ if name != "events"]
    of_tasks = [(f"{kind.__module__}.{kind.__name__}", kind) for kind in _TASK]
    return "\n".join(
        [
            _INTRODUCTION,
            *(_section(name, value) for name, value in public),
            "## hpo.events\n\nThe events of a study; see [the journal](journal.md).\n",
            "# Interface of a task\n".replace("# ", "## "),
            *(_section(name, value) for name, value in of_tasks),
        ]
    )


def _section(name: str, value: Any) -> str:
    parts = [f"### {name}\n"]
    if inspect.isfunction(value):
        parts.append(_signature(name.removeprefix("hpo."), value))
    parts.append(
        prose(inspect.getdoc(value)) if callable(value) and hasattr(value, "__name__") else _alias(value)
    )
    if inspect.isclass(value):
        parts += _members(value)
    return "\n".join(parts)


def _alias(value: Any) -> str:
    return f"Type: `{value}`\n"


def _members(kind: type) -> Iterator[str]:
    if is_dataclass(kind):
        described = field_docstrings(kind)
        rows = [(code(field.name), described.get(field.name, "")) for field in fields(kind)]
        yield table(("field", "meaning"), rows)
    for name, member in vars(kind).items():
        if name.startswith("_") or not getattr(member, "__doc__", None):
            continue
        if inspect.isfunction(member):
            yield f"#### {kind.__name__}.{name}\n\n{_signature(name, member)}\n{prose(member.__doc__)}"
        elif isinstance(member, property):
            yield f"#### {kind.__name__}.{name}\n\n{prose(member.__doc__)}"


def _signature(name: str, function: Any) -> str:
    parameters = inspect.signature(function).parameters.values()
    shown = [_parameter(parameter) for parameter in parameters if parameter.name != "self"]
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"]
    if any(p.kind is p.KEYWORD_ONLY for p in parameters):
        shown.insert(len(positional), "*")
    return f"```text\n{name}({', '.join(shown)})\n```\n"


def _parameter(parameter: inspect.Parameter) -> str:
    star = {parameter.VAR_KEYWORD: "**", parameter.VAR_POSITIONAL: "*"}.get(parameter.kind, "")
    default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
    return f"{star}{parameter.name}{default}"

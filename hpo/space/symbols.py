"""The paper's symbols, by which tables, files and MLflow name hyperparameters."""

import re
from collections.abc import Mapping
from typing import TypeVar

Entry = TypeVar("Entry")

_UNIT = re.compile(r"_(frames|positions)(?=\.|$)")
_HAS_SYMBOL = re.compile(r"(r|K[1-4])_(frames|positions)(\.|$)")


def symbol(name: str) -> str:
    """Return the paper's symbol for a hyperparameter, such as ``K4.goal`` for ``K4_frames.goal``.

    A name in seconds keeps its unit, such as ``r_s``: without it, it would read as the same in frames. All
    other names, such as those of a task of one's own, are their own symbols.
    """
    return symbol_in_older_records(name) if _HAS_SYMBOL.match(name) else name


def is_in_frames(name: str) -> bool:
    """Return whether the symbol of a hyperparameter leaves out that its unit is frames."""
    return name == f"{symbol(name)}_frames"


def symbol_in_older_records(name: str) -> str:
    """Return the symbol in records of hpo before 2026-12-01, which left the unit out of every name."""
    return _UNIT.sub("", name, count=1)


def by_symbol(hyperparameters: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return what belongs to each hyperparameter, such as its value, under the paper's symbols."""
    return {symbol(name): entry for name, entry in hyperparameters.items()}

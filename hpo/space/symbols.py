"""The paper's symbols, by which tables, files and MLflow name hyperparameters."""

import re
from collections.abc import Mapping
from typing import TypeVar

Entry = TypeVar("Entry")

_UNIT = re.compile(r"_(frames|positions)(?=\.|$)")


def symbol(name: str) -> str:
    """Return the paper's symbol for a hyperparameter, such as ``K4.goal`` for ``K4_frames.goal``.

    A name in seconds keeps its unit, such as ``r_s``: without it, it would read as the same in frames.
    """
    return _UNIT.sub("", name, count=1)


def by_symbol(hyperparameters: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return what belongs to each hyperparameter, such as its value, under the paper's symbols."""
    return {symbol(name): entry for name, entry in hyperparameters.items()}

"""Names of hyperparameters in MLflow: the paper's symbols."""

import re
from collections.abc import Mapping
from typing import TypeVar

Entry = TypeVar("Entry")

_UNIT = re.compile(r"_(frames|positions)(?=\.|$)")
_REFUSED_BY_MLFLOW = re.compile(r"[^\w./\- :]")


def symbol(name: str) -> str:
    """Return the paper's symbol for a hyperparameter, such as ``K4.goal`` for ``K4_frames.goal``.

    A name in seconds keeps its unit, such as ``r_s``: without it, it would read as the same in frames.
    """
    return accepted_name(_UNIT.sub("", name, count=1))


def by_symbol(hyperparameters: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return what belongs to each hyperparameter, such as its value, under the paper's symbols."""
    return {symbol(name): entry for name, entry in hyperparameters.items()}


def accepted_name(name: str) -> str:
    """Replace what MLflow does not accept in names by hyphens.

    These are characters, as in the class ``yellow->red-card``, and parts between slashes that are empty or
    stand for a folder, as in ``/loss``, ``a//b`` and ``a/..``.
    """
    parts = _REFUSED_BY_MLFLOW.sub("-", name).split("/")
    return "/".join("-" * max(1, len(part)) if set(part) <= {"."} else part for part in parts)

"""Arguments of ``hpo.run`` and ``Study.resume``: their checks, and what they mean on the command line."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpo.config.limits import LARGEST_SEED
from hpo.config.point_file import TypedPoints, read_points
from hpo.config.stages import SEARCH
from model.documents import is_number
from model.errors import ConfigError

_OF_A_SEARCH = ("warm_start", "points", "space")
_TYPES: tuple[tuple[tuple[type, ...], str, tuple[str, ...]], ...] = (
    ((str,), "a text", ("stage", "features", "study", "labels", "device", "ray_address", "warm_start")),
    ((str, Path), "a text or a path", ("data", "study_file", "start")),
    ((Sequence, Path), "a list of points, or a file of points", ("points",)),
    ((Mapping,), 'a table such as {"f": (2, 8)}', ("space",)),
)
"""Types, what to call them, and arguments that have one of them, or are None."""


def check_arguments(given: Mapping[str, Any]) -> None:
    """Check arguments of ``hpo.run`` that nothing else checks before a study is created.

    Raises:
        ConfigError: One cannot be used, or they contradict each other.
    """
    _check_types(given)
    stage, games, seed = (given[name] for name in ("stage", "games", "seed"))
    wrong = [name for name in _OF_A_SEARCH if given[name] and stage != SEARCH]
    if wrong:
        raise ConfigError(f"expected {wrong[0]} with the search only ({SEARCH}), got stage {stage!r}")
    if given["start"] is not None and stage in (SEARCH, "paper"):
        raise ConfigError(f"expected start with a stage after the search, got stage {stage!r}")
    if games is not None and not _are_counts(games):
        raise ConfigError(f"expected games as two whole numbers above 0, such as (60, 30), got {games!r:.60}")
    if seed is not None and (type(seed) is not int or not 0 <= seed <= LARGEST_SEED):
        raise ConfigError(f"expected seed as a whole number from 0 to {LARGEST_SEED}, got {seed!r:.60}")
    check_session(given)


def check_session(given: Mapping[str, Any]) -> None:
    """Check the arguments that ``hpo.run`` and ``Study.resume`` share: limits of time, addresses, callbacks.

    Raises:
        ConfigError: One cannot be used.
    """
    hours, until, notify, callbacks = (given[name] for name in ("hours", "until", "notify", "callbacks"))
    if hours is not None and not is_number(hours):
        raise ConfigError(f"expected hours as a number, got {hours!r:.60}")
    if until is not None and not isinstance(until, str):
        raise ConfigError(f'expected until as a text such as "18:00", got {until!r:.60}')
    if not isinstance(notify, Sequence) or not all(isinstance(address, str) for address in notify):
        raise ConfigError(f"expected notify as an address or a list of addresses, got {notify!r:.60}")
    if not isinstance(callbacks, Sequence) or not all(map(callable, callbacks)):
        raise ConfigError(f"expected callbacks as a list of functions, got {callbacks!r:.60}")


def _check_types(given: Mapping[str, Any]) -> None:
    for types, words, names in _TYPES:
        for name in names:
            if given[name] is not None and not isinstance(given[name], types):
                raise ConfigError(f"expected {name} as {words}, got {given[name]!r:.60}")


def _are_counts(games: object) -> bool:
    if not isinstance(games, Sequence) or len(games) != 2:
        return False
    return all(type(count) is int and count > 0 for count in games)


def require_main_thread() -> None:
    """Check that a study can be interrupted here: Python delivers signals to the main thread only.

    Raises:
        ConfigError: This is another thread.
    """
    thread = threading.current_thread()
    if thread is not threading.main_thread():
        raise ConfigError(
            f"a study needs the main thread of its process, got the thread {thread.name}",
            fix="call it in the main thread, or in a process of its own",
        )


def plain_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of ``hpo.run`` or ``Study.resume`` with Python's numbers for those of NumPy."""
    return {name: _plain(entry) for name, entry in given.items()}


def points_of(given: Sequence[Mapping[str, Any]] | str | Path) -> TypedPoints | None:
    """Return the points that a search tries first, with Python's numbers for NumPy's; None for an empty list.

    Raises:
        ConfigError: The file cannot be read, or a point is no table.
    """
    if isinstance(given, str | Path):
        return read_points(Path(given))
    for point in given:
        if not isinstance(point, Mapping):
            raise ConfigError(f"expected points as tables such as {{'f': 8}}, got {point!r:.60}")
    rows = [{name: _plain(entry) for name, entry in point.items()} for point in given]
    return TypedPoints(source="points", rows=rows) if rows else None


def bounds_of(space: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the bounds, choices and fixed values of a space, with Python's numbers for those of NumPy."""
    return {name: _plain(entry) for name, entry in (space or {}).items()}


def _plain(entry: Any) -> Any:
    if isinstance(entry, tuple | list):
        return type(entry)(map(_plain, entry))
    return entry.item() if isinstance(entry, np.generic) else entry

"""Metrics of a validation in little memory."""

from array import array
from collections.abc import Iterator, Mapping
from functools import lru_cache


class Metrics(Mapping[str, float]):
    """Metrics of a validation by name.

    A study keeps those of all its validations. All validations with the same names share one table of them,
    and the values are packed: 25 metrics take 0.3 KB, as a dictionary 1.8 KB.
    """

    __slots__ = ("_places", "_values")

    def __init__(self, metrics: Mapping[str, float]) -> None:
        """Take the metrics of a validation, in the order in which tables show them."""
        self._places = _places_of(tuple(metrics))
        self._values = array("d", metrics.values())

    def __getitem__(self, name: str) -> float:
        return self._values[self._places[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        """Compare with other metrics. NaN is equal to NaN, so that a line of a journal is equal to itself."""
        if isinstance(other, Metrics) and other._places == self._places:
            return self._values.tobytes() == other._values.tobytes()
        return Mapping.__eq__(self, other)

    __hash__ = None  # type: ignore[assignment]  # as of a dictionary

    def __repr__(self) -> str:
        return f"Metrics({dict(self)})"


@lru_cache(maxsize=256)
def _places_of(names: tuple[str, ...]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}

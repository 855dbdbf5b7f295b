"""Hyperparameters of a search space: bounds, scale, and position on the unit interval.

A parameter converts a number between 0 and 1 into a value and back. For whole numbers and choices, the
interval is divided into one cell per value. All cells are equally wide, except on a logarithmic scale, where
they become narrower as values grow. A parameter with one value is fixed.

A searcher works on the axes of the unit cube: a fixed parameter has none, a choice of texts has one per text,
which indicates the chosen one without an order, and any other parameter has one.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model.errors import ConfigError

Value = int | float | str
"""Type of a hyperparameter's value."""
Condition = tuple[tuple[str, Value], ...]
"""Values that other parameters must have for a parameter to be active; empty for one that always is."""


@dataclass(frozen=True, slots=True)
class FloatParameter:
    """A real number between ``low`` and ``high``, both included.

    Raises:
        ConfigError: The bounds are not finite or not in order, or a logarithmic scale reaches 0.
    """

    name: str
    low: float
    high: float
    log: bool = False
    """True for a logarithmic scale: equal ratios, not equal differences, are equally far apart."""
    when: Condition = ()

    def __post_init__(self) -> None:
        _require_64_bits(self.name, (self.low, self.high))
        _require_bounds(self.name, self.low, self.high)
        if self.log and self.low <= 0:
            raise ConfigError(
                f"expected low above 0 for a logarithmic scale, got {self.low}", parameter=self.name
            )

    def from_unit(self, u: float) -> float:
        """Return the value at position ``u``: 0 is low, 1 is high. Positions outside [0, 1] are clipped."""
        if u <= 0 or u >= 1:  # exactly: exp(log(low)) may lie beside low
            return float(self.low if u <= 0 else self.high)
        low, high = _scaled(self.low, self.log), _scaled(self.high, self.log)
        value = low + u * (high - low)
        return float(min(max(math.exp(value) if self.log else value, self.low), self.high))

    def to_unit(self, value: Value) -> float:
        """Return the position of ``value`` between low (0) and high (1); a fixed value is in the middle."""
        if self.is_fixed:
            return 0.5
        low, high = _scaled(self.low, self.log), _scaled(self.high, self.log)
        return min(max((_scaled(_number(value), self.log) - low) / (high - low), 0.0), 1.0)

    def contains(self, value: Value) -> bool:
        """Return whether ``value`` is a number within the bounds."""
        if isinstance(value, str | bool):
            return False
        return self.low <= value <= self.high

    @property
    def is_fixed(self) -> bool:
        """Whether there is only one value."""
        return self.low == self.high

    @property
    def axes(self) -> int:
        """Number of axes on the unit cube."""
        return 0 if self.is_fixed else 1

    def on_axes(self, value: Value) -> list[float]:
        """Return the coordinates of ``value`` on its axes."""
        return [] if self.is_fixed else [self.to_unit(value)]

    def from_axes(self, coordinates: Sequence[float]) -> float:
        """Return the value at ``coordinates``. Coordinates outside [0, 1] are clipped."""
        return self.from_unit(coordinates[0] if coordinates else 0.0)


@dataclass(frozen=True, slots=True)
class IntParameter:
    """A whole number between ``low`` and ``high``, both included.

    Raises:
        ConfigError: The bounds are not in order, beyond 64 bits, or a logarithmic scale reaches 0.
    """

    name: str
    low: int
    high: int
    log: bool = False
    """True for a logarithmic scale: equal ratios, not equal differences, are equally far apart."""
    when: Condition = ()

    def __post_init__(self) -> None:
        _require_64_bits(self.name, (self.low, self.high))
        _require_bounds(self.name, self.low, self.high)
        if self.log and self.low < 1:
            raise ConfigError(
                f"expected low above 0 for a logarithmic scale, got {self.low}", parameter=self.name
            )

    def from_unit(self, u: float) -> int:
        """Return the whole number whose cell contains ``u``. Positions outside [0, 1] are clipped."""
        edge, width = self._first_edge_and_width()
        value = edge + min(max(u, 0.0), 1.0) * width
        rounded = math.floor((math.exp(value) if self.log else value) + 0.5)
        return min(max(rounded, self.low), self.high)

    def to_unit(self, value: Value) -> float:
        """Return a position inside the cell of ``value``."""
        edge, width = self._first_edge_and_width()
        return min(max((_scaled(_number(value), self.log) - edge) / width, 0.0), 1.0)

    def contains(self, value: Value) -> bool:
        """Return whether ``value`` is a whole number within the bounds."""
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def values(self) -> Sequence[int]:
        """Return all values, lowest first."""
        return range(self.low, self.high + 1)

    @property
    def is_fixed(self) -> bool:
        """Whether there is only one value."""
        return self.low == self.high

    @property
    def axes(self) -> int:
        """Number of axes on the unit cube."""
        return 0 if self.is_fixed else 1

    def on_axes(self, value: Value) -> list[float]:
        """Return the coordinates of ``value`` on its axes."""
        return [] if self.is_fixed else [self.to_unit(value)]

    def from_axes(self, coordinates: Sequence[float]) -> int:
        """Return the value at ``coordinates``. Coordinates outside [0, 1] are clipped."""
        return self.from_unit(coordinates[0] if coordinates else 0.0)

    def _first_edge_and_width(self) -> tuple[float, float]:
        # Half a step of room on either side, or the two outermost values would get half a cell only.
        edge = _scaled(self.low - 0.5, self.log)
        return edge, _scaled(self.high + 0.5, self.log) - edge


@dataclass(frozen=True, slots=True)
class ChoiceParameter:
    """One value of a list. Neighbours in a list of numbers are assumed to have similar scores, texts are not.

    Raises:
        ConfigError: There is no choice, a choice appears twice, or is a whole number beyond 64 bits.
    """

    name: str
    choices: tuple[Value, ...]
    when: Condition = ()

    def __post_init__(self) -> None:
        if not self.choices or len(set(self.choices)) < len(self.choices):
            raise ConfigError(
                f"expected one or more different choices, got {list(self.choices)}", parameter=self.name
            )
        _require_64_bits(self.name, self.choices)

    def from_unit(self, u: float) -> Value:
        """Return the choice whose cell contains ``u``. Positions outside [0, 1] are clipped."""
        cell = math.floor(min(max(u, 0.0), 1.0) * len(self.choices))
        return self.choices[min(cell, len(self.choices) - 1)]

    def to_unit(self, value: Value) -> float:
        """Return the middle of the cell of ``value``."""
        return (self.choices.index(value) + 0.5) / len(self.choices)

    def contains(self, value: Value) -> bool:
        """Return whether ``value`` is one of the choices."""
        return value in self.choices

    def values(self) -> Sequence[Value]:
        """Return all choices, in the order given."""
        return self.choices

    @property
    def is_fixed(self) -> bool:
        """Whether there is only one choice."""
        return len(self.choices) == 1

    @property
    def is_text(self) -> bool:
        """Whether a choice is text, so that the list has no order."""
        return any(isinstance(choice, str) for choice in self.choices)

    @property
    def axes(self) -> int:
        """Number of axes on the unit cube: one per choice if they have no order."""
        if self.is_fixed:
            return 0
        return len(self.choices) if self.is_text else 1

    def on_axes(self, value: Value) -> list[float]:
        """Return the coordinates of ``value`` on its axes; of a text, 1 on its own axis and 0 elsewhere."""
        if self.is_fixed:
            return []
        if self.is_text:
            return [float(choice == value) for choice in self.choices]
        return [self.to_unit(value)]

    def from_axes(self, coordinates: Sequence[float]) -> Value:
        """Return the choice at ``coordinates``; of texts, the one with the largest coordinate."""
        if self.is_text and coordinates:
            return self.choices[max(range(len(self.choices)), key=lambda index: coordinates[index])]
        return self.from_unit(coordinates[0] if coordinates else 0.0)


Parameter = FloatParameter | IntParameter | ChoiceParameter


def _require_bounds(name: str, low: float, high: float) -> None:
    if not (math.isfinite(high - low) and low <= high):
        raise ConfigError(
            f"expected finite bounds with low not above high, got {low} and {high}", parameter=name
        )


def _require_64_bits(name: str, values: Iterable[Value]) -> None:
    """Refuse whole numbers that a study's journal cannot have."""
    for value in values:
        if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
            raise ConfigError(f"expected whole numbers of at most 64 bits, got {value}", parameter=name)


def _scaled(value: float, log: bool) -> float:
    return math.log(value) if log else value


def _number(value: Value) -> float:
    if isinstance(value, str):
        raise TypeError(f"expected a number, got {value!r}")
    return float(value)

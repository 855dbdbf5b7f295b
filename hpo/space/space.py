"""Search space: a set of parameters, mapped onto a cube with sides from 0 to 1."""

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hpo.space.parameters import ChoiceParameter, FloatParameter, IntParameter, Parameter, Value
from model.errors import ConfigError

Parameters = dict[str, Value]
"""A point of a space: parameter name -> value. A parameter whose condition does not hold has no value."""
UnitPoint = npt.NDArray[np.float64]
"""A point on the unit cube, (dimensions,): numbers between 0 and 1, those of a parameter side by side, in the
space's order."""

_KINDS = {FloatParameter: "float", IntParameter: "int", ChoiceParameter: "choice"}
_INACTIVE = 0.5
"""Coordinate of a parameter without a value on each of its axes."""


class Space:
    """The parameters that a stage searches over.

    Args:
        parameters: In the order of the axes of the unit cube.

    Raises:
        ConfigError: There is no parameter, two parameters have the same name, or a condition names no choice
            of the space.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = tuple(parameters)
        self.names = tuple(parameter.name for parameter in self.parameters)
        if not self.parameters:
            raise ConfigError("expected a space with one or more parameters, got none")
        if len(set(self.names)) < len(self.names):
            raise ConfigError(
                f"expected parameters of a space with different names, got {', '.join(self.names)}"
            )
        self._deciding = self._choices_in_conditions()
        ends = list(itertools.accumulate((parameter.axes for parameter in self.parameters), initial=0))
        self._slices = [slice(*pair) for pair in itertools.pairwise(ends)]

    @property
    def dimensions(self) -> int:
        """Dimension of the unit cube: the number of axes of all parameters."""
        return sum(parameter.axes for parameter in self.parameters)

    @property
    def searched(self) -> tuple[Parameter, ...]:
        """The parameters that have more than one value."""
        return tuple(parameter for parameter in self.parameters if not parameter.is_fixed)

    @property
    def is_plain(self) -> bool:
        """Whether every point of the cube stands for itself: without choices of texts and conditions."""
        return not any(parameter.axes > 1 or parameter.when for parameter in self.parameters)

    def from_unit(self, point: UnitPoint) -> Parameters:
        """Return the values at ``point``. Coordinates outside [0, 1] are clipped."""
        return self.active(
            {
                parameter.name: parameter.from_axes(point[axes].tolist())
                for parameter, axes in zip(self.parameters, self._slices, strict=True)
            }
        )

    def to_unit(self, parameters: Parameters) -> UnitPoint:
        """Return the position of ``parameters`` on the unit cube; those without a value are in its middle."""
        coordinates: list[float] = []
        for parameter in self.parameters:
            if parameter.name in parameters:
                coordinates += parameter.on_axes(parameters[parameter.name])
            else:
                coordinates += [_INACTIVE] * parameter.axes
        return np.array(coordinates)

    def as_tried(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Move points to where the parameters that they lead to are, but leave numbers between their values.

        Args:
            points: Points on the unit cube, (count, dimensions).

        Returns:
            An array of the same shape. On the axes of a text, 1 for the chosen one and 0 for the others; on
            those of a parameter without a value, the middle.
        """
        moved = np.array(points, dtype=float)
        for parameter, axes in zip(self.parameters, self._slices, strict=True):
            if parameter.axes > 1:
                moved[:, axes] = np.eye(parameter.axes)[np.argmax(points[:, axes], axis=1)]
        for parameter, axes in zip(self.parameters, self._slices, strict=True):
            for name, value in parameter.when:
                moved[~self._has(name, value, moved), axes] = _INACTIVE
        return moved

    def active(self, parameters: Parameters) -> Parameters:
        """Return ``parameters`` without those of this space whose conditions do not hold."""
        inactive = {
            parameter.name
            for parameter in self.parameters
            if any(parameters.get(name) != value for name, value in parameter.when)
        }
        return {name: value for name, value in parameters.items() if name not in inactive}

    def contains(self, parameters: Parameters) -> bool:
        """Return whether ``parameters`` has exactly the space's active names, with values within bounds."""
        names = self.active({name: parameters.get(name, 0) for name in self.names}).keys()
        return parameters.keys() == names and all(
            parameter.contains(parameters[parameter.name])
            for parameter in self.parameters
            if parameter.name in parameters
        )

    def size(self) -> int | None:
        """Return the number of points, or None if a parameter is continuous."""
        axes = self._finite_axes()
        if axes is None:
            return None
        return sum(
            math.prod(len(axes[name]) for name in self._active_names(decided) if name not in decided)
            for decided in self._decisions()
        )

    def grid(self) -> Iterator[Parameters]:
        """Iterate over all points of a finite space, the last parameter changing fastest.

        A space with a continuous parameter yields no points.
        """
        axes = self._finite_axes()
        if axes is None:
            return
        for values in itertools.product(*axes.values()):
            point = dict(zip(self.names, values, strict=True))
            active = self.active(point)
            # Points that differ in parameters without a value are one point.
            if all(point[name] == axes[name][0] for name in point.keys() - active.keys()):
                yield active

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return the parameters as tables of a study file, by name, in order."""
        described = {}
        for parameter in self.parameters:
            fields = {key: value for key, value in asdict(parameter).items() if key not in ("name", "when")}
            if parameter.when:
                fields["when"] = dict(parameter.when)
            described[parameter.name] = {"type": _KINDS[type(parameter)], **fields}
        return described

    @classmethod
    def from_description(cls, described: Mapping[str, Mapping[str, Any]]) -> Self:
        """Build a space from the output of ``describe``, also after a round trip through JSON."""
        kinds = {name: kind for kind, name in _KINDS.items()}
        parameters = []
        for name, fields in described.items():
            # JSON has no tuples.
            rest = {key: tuple(entry) if isinstance(entry, list) else entry for key, entry in fields.items()}
            del rest["type"]
            rest |= {"when": tuple(fields.get("when", {}).items())}
            parameters.append(kinds[fields["type"]](name, **rest))
        return cls(parameters)

    def digest(self) -> str:
        """Return a hash that changes with any bound, scale or type and with the order of the parameters."""
        text = json.dumps(list(self.describe().items()))
        return hashlib.sha256(text.encode()).hexdigest()

    def _choices_in_conditions(self) -> dict[str, ChoiceParameter]:
        by_name = {parameter.name: parameter for parameter in self.parameters}
        deciding: dict[str, ChoiceParameter] = {}
        for parameter in self.parameters:
            for name, value in parameter.when:
                choice = by_name.get(name)
                if not isinstance(choice, ChoiceParameter) or choice.when or not choice.contains(value):
                    raise ConfigError(
                        "expected under when a choice of the space that has no condition itself, and one of "
                        f"its values, got {name} = {value!r}",
                        parameter=parameter.name,
                    )
                deciding[name] = choice
        return deciding

    def _active_names(self, decided: Parameters) -> Iterable[str]:
        """Names of the parameters that have a value, given the choices that conditions depend on."""
        return self.active(dict.fromkeys(self.names, 0) | decided)

    def _decisions(self) -> Iterator[Parameters]:
        """Iterate over the values of the choices that conditions depend on."""
        for values in itertools.product(*(choice.choices for choice in self._deciding.values())):
            yield dict(zip(self._deciding, values, strict=True))

    def _has(self, name: str, value: Value, points: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Whether each of the points has ``value`` as its choice ``name``."""
        index = self.names.index(name)
        choice, coordinates = self._deciding[name], points[:, self._slices[index]]
        return np.array([choice.from_axes(row.tolist()) == value for row in coordinates], dtype=bool)

    def _finite_axes(self) -> dict[str, Sequence[Value]] | None:
        axes: dict[str, Sequence[Value]] = {}
        for parameter in self.parameters:
            if isinstance(parameter, FloatParameter):
                if not parameter.is_fixed:
                    return None
                axes[parameter.name] = (parameter.low,)
            else:
                axes[parameter.name] = parameter.values()
        return axes

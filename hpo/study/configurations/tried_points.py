"""Points that a user wants a search to try first, completed and checked against its space."""

from collections.abc import Mapping, Set
from typing import Any

from hpo.config.point_file import TypedPoints
from hpo.config.stages import SearchStage
from hpo.config.study_file import space_of
from hpo.report.formats import value, values_tried
from hpo.space.parameters import ChoiceParameter, Value
from hpo.space.space import Parameters, Space
from hpo.space.symbols import symbol
from hpo.study.configurations.configuration import configuration_from_symbols
from hpo.study.plan import StudyPlan
from model.errors import ConfigError


def points_in_space(typed: TypedPoints, plan: StudyPlan, stage: SearchStage) -> list[Parameters]:
    """Return the points with missing values from the study file's own configuration, or the fixed ones.

    Args:
        typed: Points under names or symbols, in the units of ``--from FILE``.
        plan: Plan with the settings of the search.
        stage: The search.

    Raises:
        ConfigError: A point is no configuration, or lies outside the space; the error names file and row.
    """
    space = space_of(stage)
    texts = _known_texts(space, plan.own_configuration())
    cells = typed.cells or [{} for _ in typed.rows]
    return [
        _point(_with_texts(row, own, texts), plan, space, source=f"{typed.source}, row {number}")
        for number, (row, own) in enumerate(zip(typed.rows, cells, strict=True), start=1)
    ]


def _known_texts(space: Space, own: Parameters) -> dict[str, set[Value]]:
    """Return name or symbol of a hyperparameter -> its choices, and its value in the study file, if texts."""
    choices = {entry.name: entry.choices for entry in space.parameters if isinstance(entry, ChoiceParameter)}
    return {
        given: {known for known in (own[name], *choices.get(name, ())) if isinstance(known, str)}
        for name in own
        for given in (name, symbol(name))
    }


def _with_texts(
    row: Mapping[str, Any], cells: Mapping[str, str], texts: Mapping[str, Set[Value]]
) -> dict[str, Any]:
    """Return a row in which cells that are known texts, such as ``1``, are no numbers."""
    return {**row, **{given: cell for given, cell in cells.items() if cell in texts.get(given, ())}}


def _point(row: Mapping[str, Any], plan: StudyPlan, space: Space, *, source: str) -> Parameters:
    configuration, own = configuration_from_symbols(row, plan, source=source), plan.own_configuration()
    for name, given in configuration.items():
        if name not in space.names and given != own[name]:
            raise ConfigError(
                f"the search does not vary {symbol(name)}: expected {value(own[name])}, as in the study "
                f"file, got {value(given)}",
                file=source,
                fix=f"leave {symbol(name)} out, or add it to [stages.bayes.space]",
            )
    given_names = plan.task.in_own_units(plan.study, row, plan.shape).keys()
    own_names = {name for name in space.names if not {name, symbol(name)} & given_names}
    fixed = {entry.name: entry.from_axes([]) for entry in space.parameters if entry.is_fixed}
    point = {name: configuration[name] for name in space.names}
    point |= {name: only for name, only in fixed.items() if name in own_names}
    return _inside(space.active(point), space, own_names, source=source)


def _inside(point: Parameters, space: Space, own_names: Set[str], *, source: str) -> Parameters:
    described = space.describe()
    for parameter in space.parameters:
        if parameter.name in point and not parameter.contains(point[parameter.name]):
            origin = " (from the study file)" if parameter.name in own_names else ""
            raise ConfigError(
                f"{symbol(parameter.name)} = {value(point[parameter.name])}{origin} lies outside the space",
                file=source,
                expected=values_tried(described[parameter.name]),
                fix="change the point, or the bounds with --space or in [stages.bayes.space]",
            )
    return point

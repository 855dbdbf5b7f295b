"""Best values of a search at the edge of its space, with the wider bounds to type."""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from hpo.config.bounds import MORE, with_bounds
from hpo.config.stages import SEARCH
from hpo.journal.continuing import run_command
from hpo.journal.events import Value
from hpo.journal.ranking import Configuration
from hpo.journal.results import StudyState
from hpo.report.formats import value
from hpo.space.parameters import FloatParameter, IntParameter
from hpo.space.space import Space
from hpo.space.symbols import symbol
from hpo.study.configurations.configuration import configuration_from_symbols
from hpo.study.plan import StudyPlan
from hpo.tasks.base.found import best_of_stage
from model.errors import ConfigError

NEAR = 0.05
"""Largest distance from a bound that counts as the edge, as a share of the range on the parameter's scale."""
ENOUGH = 5
"""Smallest number of configurations whose best is looked at."""
_WIDER = (0.3, 0.15, 0.07)
"""Shares of the range, on the parameter's scale, by which a bound is moved; the first that can be trained."""
_LARGEST_EXPONENT = math.log(sys.float_info.max)

Range = FloatParameter | IntParameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A best value near a bound that could be wider."""

    parameter: Range
    best: Value
    side: Literal["lower", "upper"]
    wider: float
    """Bound to search up to."""

    @property
    def bound(self) -> float:
        """The present bound."""
        return self.parameter.low if self.side == "lower" else self.parameter.high

    @property
    def typed(self) -> str:
        """The wider range as a user types it."""
        low, high = self.parameter.low, self.parameter.high
        low, high = (self.wider, high) if self.side == "lower" else (low, self.wider)
        return f"{symbol(self.parameter.name)}={_exact(low)}..{_exact(high)}"


def edges(plan: StudyPlan, state: StudyState) -> list[Edge]:
    """Return the best values of the study's search that lie within 5 % of a bound that could be wider.

    A few points or equal scores do not show where the best values are, so that there are none then.
    """
    stage = state.stages.get(SEARCH)
    best = best_of_stage(state, SEARCH) if stage else None
    if stage is None or best is None or not _tell_apart(state.ranked(SEARCH)):
        return []
    chosen = best.configuration.parameters
    found = (
        _edge(parameter, chosen[parameter.name], plan, state)
        for parameter in Space.from_description(stage.space).searched
        if isinstance(parameter, Range) and parameter.name in chosen
    )
    return [edge for edge in found if edge is not None]


def edge_lines(plan: StudyPlan, state: StudyState, cluster: str | None = None) -> list[str]:
    """Describe the best values at the edge of the space, and the command that searches beyond it.

    ``cluster`` is the address of the Ray cluster that trains the study, which the command gets.
    """
    found = edges(plan, state)
    if not found:
        return []
    lines = [
        f"edge of the space: the best {symbol(edge.parameter.name)}, {value(edge.best)}, is within 5 % of "
        f"the {edge.side} bound {value(edge.bound)}"
        for edge in found
    ]
    options = [word for edge in found for word in ("--space", edge.typed)]
    command = run_command(SEARCH, "--study", state.created.study, *options, cluster=cluster)
    more = "" if SEARCH in state.pending else f" with {MORE} more configurations"
    return [*lines, f"to search beyond it{more}: {command}"]


def edge_record(edge: Edge) -> dict[str, Value]:
    """Return an edge as JSON, with the paper's symbol."""
    return {
        "parameter": symbol(edge.parameter.name),
        "best": edge.best,
        "side": edge.side,
        "bound": edge.bound,
        "wider": edge.wider,
    }


def _tell_apart(ranked: Sequence[Configuration]) -> bool:
    means = {configuration.mean for configuration in ranked}
    return len(ranked) >= ENOUGH and len(means) > 1


def _edge(parameter: Range, best: Value, plan: StudyPlan, state: StudyState) -> Edge | None:
    place = _place(parameter, best)
    if NEAR < place < 1 - NEAR:
        return None
    side: Literal["lower", "upper"] = "lower" if place <= NEAR else "upper"
    for wider in _candidates(parameter, side):
        edge = Edge(parameter=parameter, best=best, side=side, wider=wider)
        if _can_be_trained(edge, plan, state):
            return edge
    return None


def _place(parameter: Range, best: Value) -> float:
    """Share of the range below ``best``; unlike on the unit cube, whole numbers reach both ends."""
    low, high, at = (_scaled(parameter, float(number)) for number in (parameter.low, parameter.high, best))
    return (at - low) / (high - low)


def _candidates(parameter: Range, side: str) -> Iterator[float]:
    low, high = _scaled(parameter, parameter.low), _scaled(parameter, parameter.high)
    for share in _WIDER:
        moved = low - share * (high - low) if side == "lower" else high + share * (high - low)
        if parameter.log and moved > _LARGEST_EXPONENT:
            continue
        exact = math.exp(moved) if parameter.log else moved
        for digits in (1, 2):
            rounded = float(f"{exact:.{digits}g}")
            rounded = round(rounded) if isinstance(parameter, IntParameter) else rounded
            # What is above 0, such as a number of layers or a rate, mostly cannot be 0.
            crosses = rounded <= 0 < parameter.low or rounded >= 0 > parameter.high
            if not crosses and (rounded < parameter.low or rounded > parameter.high):
                yield rounded


def _can_be_trained(edge: Edge, plan: StudyPlan, state: StudyState) -> bool:
    settings = dict(state.asked[SEARCH].settings)
    try:
        settings["space"] = with_bounds(settings["space"], [edge.typed])
        staged = plan.with_stage(SEARCH, settings)
        configuration_from_symbols({edge.parameter.name: edge.wider}, staged, source=edge.typed)
    except ConfigError:
        return False
    return True


def _exact(number: float) -> str:
    """Write a number in its shortest form; a rounded bound could leave out a trial that lies on it.

    A whole number has all its digits: bounds of whole numbers are not read from ``1e+06``.
    """
    if isinstance(number, int):
        return str(number)
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


def _scaled(parameter: Range, number: float) -> float:
    return math.log(number) if parameter.log else number

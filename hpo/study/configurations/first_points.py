"""The points that a search tries first: the study file's own configuration, then the user's own points."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hpo.config.stages import SearchStage
from hpo.config.study_file import own_point, space_of
from hpo.journal.events import StageAsked, Value
from hpo.report.formats import value
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Parameters
from hpo.space.symbols import symbol
from hpo.study.configurations.finalists import OWN
from hpo.study.configurations.warm_start import scored_points
from hpo.study.plan import StudyPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPoint:
    """A point that comes before those of the searcher."""

    source: str
    """Origin of the point: ``study file``, or ``try`` with its number."""
    parameters: Parameters
    why_not: str = ""
    """Reason why the search does not try it; empty if it does."""


def first_points_of(
    plan: StudyPlan, asked: StageAsked, tried: Iterable[Mapping[str, Value]] = ()
) -> list[FirstPoint]:
    """Return the points that a search is to try first, also those that it does not try.

    Args:
        plan: Plan with the settings of the search.
        asked: Request of the search.
        tried: Points that the search has tried already.
    """
    stage = plan.study.stages.named(asked.stage)
    if not isinstance(stage, SearchStage):
        return []
    reasons = [(dict(point), "tried already") for point in tried]
    reasons += [(point.parameters, f"study {asked.known['study']} has its score") for point in _known(asked)]
    points = []
    for source, point in _wanted(plan, stage):
        why_not = next((reason for other, reason in reasons if other == point), "")
        points.append(FirstPoint(source=source, parameters=point, why_not=why_not or _outside(point, stage)))
        reasons.append((point, f"same as {source}"))
    return points


def why_not_first(plan: StudyPlan, asked: StageAsked) -> str:
    """Say why a search begins without the study file's own configuration; empty if it tries it."""
    own = next((point for point in first_points_of(plan, asked) if point.source == OWN), None)
    if own is None or not own.why_not:
        return ""
    return f"stage {asked.stage} begins without the study file's own configuration: {own.why_not}"


def _outside(point: Parameters, stage: SearchStage) -> str:
    """Say with which values a point lies outside the space; empty if it lies inside."""
    outside = [
        f"{symbol(entry.name)} = {value(point[entry.name])}"
        for entry in space_of(stage).parameters
        if entry.name in point and not entry.contains(point[entry.name])
    ]
    return f"outside the space with {', '.join(outside)}" if outside else ""


def _wanted(plan: StudyPlan, stage: SearchStage) -> Iterator[tuple[str, Parameters]]:
    if stage.own_first:
        yield OWN, own_point(plan.study, stage)
    for number, point in enumerate(stage.tried, start=1):
        yield f"try {number}", dict(point)


def _known(asked: StageAsked) -> list[ScoredPoint]:
    return [point for point in scored_points(asked.known) if not point.is_related]

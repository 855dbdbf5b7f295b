"""A search to be explored: Optuna's own figures of a study that is rebuilt from scored points."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from optuna.trial import create_trial

from hpo.search.optuna_study import distribution, quiet_study
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Space

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def search_views(
    space: Space,
    points: Sequence[ScoredPoint],
    *,
    label: Callable[[str], str],
    pairs_of: Sequence[str],
    target: str,
) -> dict[str, "Figure"]:
    """Parallel coordinates, slices and contours of pairs.

    Args:
        space: What was searched.
        points: Scores, each inside ``space``.
        label: Name of a parameter -> name on an axis.
        pairs_of: Parameters whose pairs are drawn.
        target: What the scores are.
    """
    from optuna.visualization import plot_contour, plot_parallel_coordinate, plot_slice

    axes = {label(parameter.name): distribution(parameter) for parameter in space.parameters}
    with quiet_study() as study:
        for point in points:
            values = {label(name): point.parameters[name] for name in space.names}
            study.add_trial(create_trial(params=values, distributions=axes, value=point.score))
        return {
            "parallel": plot_parallel_coordinate(study, target_name=target),
            "slices": plot_slice(study, target_name=target),
            "contours": plot_contour(study, params=[label(name) for name in pairs_of], target_name=target),
        }

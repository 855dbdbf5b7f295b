"""Interactive figures of a search, drawn by Optuna."""

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from optuna.distributions import BaseDistribution, CategoricalChoiceType, CategoricalDistribution
from optuna.trial import create_trial

from hpo.search.optuna_study import distribution, quiet_study
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Space

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Scatter

_COLOURS = "Cividis"
"""Colour scale of the pictures too, which colour-blind people can read."""


def search_views(
    space: Space,
    points: Sequence[ScoredPoint],
    *,
    label: Callable[[str], str],
    pairs_of: Sequence[str],
    target: str,
) -> dict[str, "Figure"]:
    """Draw parallel coordinates, slices and contours of pairs, by the names of the figures.

    Args:
        space: The space that was searched.
        points: Points with scores, each inside ``space``.
        label: Function from the name of a parameter to its label on an axis.
        pairs_of: Names of parameters that have values; a contour is drawn for each pair, none for no names.
        target: Name of the score.
    """
    from optuna.visualization import plot_contour, plot_parallel_coordinate, plot_slice

    axes = {label(parameter.name): _escaped(distribution(parameter)) for parameter in space.searched}
    with quiet_study() as study:
        for point in points:
            values = {
                label(entry.name): _plain(point.parameters[entry.name])
                for entry in space.searched
                if entry.name in point.parameters
            }
            own = {name: axes[name] for name in values}
            study.add_trial(create_trial(params=values, distributions=own, value=point.score))
        parallel = plot_parallel_coordinate(study, target_name=target)
        slices = plot_slice(study, target_name=target)
        views = {"parallel": parallel, "slices": slices}
        if pairs_of:
            pairs = [label(name) for name in pairs_of]
            views["contours"] = plot_contour(study, params=pairs, target_name=target)
    # Optuna's palest blue is white, and it counts trials from 0.
    parallel.for_each_trace(_colour_by_score, selector={"mode": "lines"})
    parallel.update_traces(marker_colorscale=_COLOURS, selector={"mode": "markers"})
    slices.for_each_trace(_count_from_one)
    for figure in views.values():
        figure.update_traces(colorscale=_COLOURS, reversescale=False, selector={"type": "contour"})
    return views


def _colour_by_score(line: "Scatter") -> None:
    """Colour the line of a trial by its place on the first axis, which is that of the score, from 0 to 1."""
    from plotly.colors import sample_colorscale

    line.update(line_color=sample_colorscale(_COLOURS, [line.y[0]])[0], opacity=0.8)


def _count_from_one(trace: "Scatter") -> None:
    numbers = [int(number) + 1 for number in trace.marker.color]
    trace.marker.update(color=numbers, colorscale=_COLOURS)
    trace.marker.colorbar.title = "order of the trials"


def _escaped(axis: BaseDistribution) -> BaseDistribution:
    """Return an axis whose texts plotly shows as they are, though they hold ``<`` or ``&``."""
    if not isinstance(axis, CategoricalDistribution):
        return axis
    return CategoricalDistribution([_plain(choice) for choice in axis.choices])


def _plain(value: CategoricalChoiceType) -> CategoricalChoiceType:
    return html.escape(value, quote=False) if isinstance(value, str) else value

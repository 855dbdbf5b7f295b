"""Interactive figures of a search in its space: parallel coordinates, slices and contours of pairs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hpo.report.figures.interactive import interactive, styled
from hpo.report.figures.labels import for_plotly, wrapped
from hpo.report.figures.space_axes import (
    COLOUR_MAP,
    LIMITS,
    Places,
    Scores,
    Shown,
    axis_name,
    axis_ticks,
    span_surface,
)
from hpo.report.figures.style import score_range
from hpo.report.formats import value
from hpo.space.parameters import Parameter

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Interactive

_LETTERS = 110
"""Letters of small labels that have room beside each other on a page."""
_GRID = 41
"""Points of a surface along each axis."""
_SMALL = 10
"""Size of small labels."""


def parallel_interactive(shown: Shown, places: Places, scores: Scores, score: str) -> "Interactive":
    """Draw a line per trial across an axis for the score and one for each hyperparameter."""
    from plotly.colors import sample_colorscale

    low, span = scores.min(), np.ptp(scores)
    shares = (scores - low) / span if span else np.full(len(scores), 0.5)
    names = [score, *map(axis_name, shown)]
    marked = (0.0, 0.5, 1.0) if span else (0.5,)
    ticks = [{share: f"{low + share * span:.4g}" for share in marked}, *map(axis_ticks, shown)]
    texts = np.column_stack([[f"{each:.4g}" for each in scores], *_texts(shown, places)])
    figure = interactive()
    for trial in np.argsort(scores):
        figure.add_scatter(
            x=list(range(len(names))),
            y=[shares[trial], *places[trial]],
            text=[for_plotly(f"{name}: {text}") for name, text in zip(names, texts[trial], strict=True)],
            hoverinfo="text",
            mode="lines",
            line={"color": sample_colorscale(COLOUR_MAP, [shares[trial]])[0], "width": 1.2},
            showlegend=False,
        )
    _mark_parallel(figure, names, ticks)
    # No point, but the scale of colours.
    marker = {"color": [low], "coloraxis": "coloraxis"}
    figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, showlegend=False)
    figure.update_layout(coloraxis=_colours(score, scores))
    return figure


def _mark_parallel(figure: "Interactive", names: Sequence[str], ticks: Sequence[Mapping[float, str]]) -> None:
    """Draw the axes with their names and with the labels at the positions in ``ticks``."""
    width = max(_LETTERS // len(names), 8)
    for index, labels in enumerate(ticks):
        figure.add_vline(index, line={"color": "#555555", "width": 1})
        for place, label in labels.items():
            look = {"showarrow": False, "xanchor": "left", "align": "left", "font_size": _SMALL}
            figure.add_annotation(x=index, y=place, text=_label(label, width), **look)
    figure.update_xaxes(
        tickvals=list(range(len(names))),
        ticktext=[_label(name, width) for name in names],
        tickfont_size=_SMALL,
        range=(-0.2, len(names) - 0.3),
        showgrid=False,
    )
    figure.update_yaxes(visible=False, range=(-0.08, 1.08))


def slices_interactive(shown: Shown, places: Places, scores: Scores, score: str) -> "Interactive":
    """Draw the scores against each hyperparameter, three beside each other; colour is the order of trials."""
    from plotly.subplots import make_subplots

    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    height = 60 + 280 * rows
    figure = make_subplots(rows, columns, shared_yaxes=True, vertical_spacing=110 / height if rows > 1 else 0)
    order = np.arange(1, len(scores) + 1)
    for index, (parameter, texts) in enumerate(zip(shown, _texts(shown, places), strict=True)):
        cell = {"row": index // columns + 1, "col": index % columns + 1}
        figure.add_scatter(
            x=places[:, index],
            y=scores,
            text=[for_plotly(text) for text in texts],
            hovertemplate="%{text}: %{y:.4g}<extra></extra>",
            mode="markers",
            marker={"color": order, "coloraxis": "coloraxis"},
            showlegend=False,
            **cell,
        )
        figure.update_xaxes(**_axis(parameter, 30), **cell)
    figure.update_yaxes(range=score_range(scores.tolist()))
    figure.update_yaxes(title_text=_label(score, 22), col=1)
    figure.update_layout(coloraxis=_colours("order of the trials", order))
    return styled(figure, height=height)


def contours_interactive(
    shown: Shown, paired: Sequence[int], places: Places, scores: Scores, score: str
) -> "Interactive":
    """Draw the scores over each pair of the hyperparameters ``paired``: the lower triangle of all pairs."""
    from plotly.subplots import make_subplots

    side = len(paired) - 1
    figure = make_subplots(
        side, side, shared_xaxes=True, shared_yaxes=True, horizontal_spacing=0.04, vertical_spacing=0.02
    )
    ascending = np.argsort(scores)  # of trials at one point, the best one is drawn last
    for row, below in enumerate(paired[1:], start=1):
        for column, left in enumerate(paired[:row], start=1):
            pair = places[ascending][:, [left, below]]
            _add_pair(figure, [shown[left], shown[below]], pair, scores[ascending], row=row, column=column)
        figure.update_yaxes(**_axis(shown[below], 18), row=row, col=1)
    for column, left in enumerate(paired[:-1], start=1):
        figure.update_xaxes(**_axis(shown[left], 18), row=side, col=column)
    figure.update_layout(coloraxis=_colours(score, scores))
    return styled(figure, height=200 + 170 * side)


def _add_pair(
    figure: "Interactive", pair: Shown, places: Places, scores: Scores, *, row: int, column: int
) -> None:
    known = ~np.isnan(places).any(axis=1)
    places, scores = places[known], scores[known]
    (x, y), coloured = places.T, {"coloraxis": "coloraxis"}
    if span_surface(x, y):
        look = {"contours_coloring": "heatmap", "hoverinfo": "skip"}
        figure.add_contour(**_surface(x, y, scores), row=row, col=column, **look, **coloured)
    texts = [f"{one}, {other}" for one, other in zip(*_texts(pair, places), strict=True)]
    figure.add_scatter(
        x=x,
        y=y,
        text=list(map(for_plotly, texts)),
        customdata=scores,
        hovertemplate="%{text}: %{customdata:.4g}<extra></extra>",
        mode="markers",
        marker={"color": scores, "line": {"color": "white", "width": 1}, "size": 7, **coloured},
        showlegend=False,
        row=row,
        col=column,
    )


def _surface(x: Places, y: Places, scores: Scores) -> dict[str, Any]:
    """Interpolate scores on a grid. Plotly would take minutes for a surface between 300 points."""
    from scipy.interpolate import griddata

    across, up = (np.linspace(side.min(), side.max(), _GRID) for side in (x, y))
    return {"x": across, "y": up, "z": griddata((x, y), scores, tuple(np.meshgrid(across, up)))}


def _texts(shown: Shown, places: Places) -> list[list[str]]:
    """Return the value of each trial, for each parameter; empty where it has none."""
    return [
        ["" if np.isnan(place) else value(parameter.from_unit(place)) for place in column.tolist()]
        for parameter, column in zip(shown, places.T, strict=True)
    ]


def _axis(parameter: Parameter, width: int) -> dict[str, Any]:
    """Return the settings of an axis, whose labels have room for ``width`` letters."""
    ticks = axis_ticks(parameter)
    return {
        "title": {"text": _label(axis_name(parameter), width), "standoff": 10},
        "tickvals": list(ticks),
        "ticktext": [_label(text, 12) for text in ticks.values()],
        "range": LIMITS,
        "automargin": True,
        "zeroline": False,
    }


def _colours(title: str, values: npt.NDArray[Any]) -> Mapping[str, Any]:
    return {
        "colorscale": COLOUR_MAP,
        "cmin": values.min(),
        "cmax": values.max(),
        "colorbar": {"title": {"text": _label(title, 36), "side": "right"}},
    }


def _label(text: str, width: int) -> str:
    return for_plotly(wrapped(text, width))

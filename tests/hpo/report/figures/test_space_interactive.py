"""Interactive figures of a search: texts are shown as they are, have room, and every trial is seen."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from hpo.report.figures.space_axes import axis_name, axis_ticks
from hpo.report.figures.space_interactive import (
    contours_interactive,
    parallel_interactive,
    slices_interactive,
)
from hpo.space.parameters import ChoiceParameter, FloatParameter, IntParameter, Parameter
from hpo.space.space import Space


def drawn(parameters: Sequence[Parameter], number: int = 12, score: str = "score") -> dict[str, Any]:
    """The interactive figures of a search in this space, by their names."""
    space = Space(parameters)
    points = [space.from_unit(u) for u in np.random.default_rng(0).random((number, space.dimensions))]
    places = np.array(
        [
            [each.to_unit(point[each.name]) if each.name in point else np.nan for each in space.searched]
            for point in points
        ]
    )
    scores, paired = np.arange(1, number + 1) / number, [0, len(space.searched) - 1]
    return {
        "parallel": parallel_interactive(space.searched, places, scores, score),
        "slices": slices_interactive(space.searched, places, scores, score),
        "contours": contours_interactive(space.searched, paired, places, scores, score),
    }


def test_texts_with_markup_are_shown_as_they_are() -> None:
    views = drawn([ChoiceParameter("kind", ("<b>bold&", "plain")), FloatParameter("x", 0.0, 1.0)])
    for name in ("parallel", "slices", "contours"):
        shown = views[name].to_json().replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u0026", "&")
        assert "&lt;b&gt;bold&amp;" in shown, name
        assert "<b>bold" not in shown


def test_every_trial_is_seen_and_counted_from_one() -> None:
    views = drawn([FloatParameter("x", 0.0, 1.0), FloatParameter("y", 0.0, 1.0)], 3)
    lines = [trace for trace in views["parallel"].data if trace.mode == "lines"]
    shades = {line.y[0]: sum(map(int, re.findall(r"\d+", line.line.color))) for line in lines}
    # Dark blue, grey and yellow, of which none is white.
    low, middle, high = sorted(shades)
    assert (low, high) == (0.0, 1.0) and middle == pytest.approx(0.5)
    assert shades[low] < shades[middle] < shades[high] < 3 * 200
    assert [list(trace.marker.color) for trace in views["slices"].data] == [[1, 2, 3]] * 2


def test_axes_are_labelled_at_a_few_values_of_the_hyperparameter() -> None:
    decay, batch = (
        FloatParameter("weight_decay", 1e-6, 1e-2, log=True),
        ChoiceParameter("batch", (16, 32, 64)),
    )
    assert axis_name(decay) == "weight_decay, log"
    assert axis_ticks(decay) == {0.0: "1e-06", 0.5: "0.0001", 1.0: "0.01"}
    assert axis_ticks(batch) == {batch.to_unit(each): str(each) for each in (16, 32, 64)}
    layers = IntParameter("layers", 1, 2)
    assert axis_ticks(layers) == {layers.to_unit(each): str(each) for each in (1, 2)}
    crop = ChoiceParameter("crop", ("none", "random"))
    assert axis_ticks(crop) == {0.25: "none", 0.75: "random"}


def test_long_names_and_choices_are_wrapped_in_every_figure() -> None:
    long = [f"encoder_layer_{n}_attention_dropout_probability" for n in range(5)]
    choices = ChoiceParameter("augmentation", ("random crop and horizontal flip", "none"))
    parameters = [choices, *(FloatParameter(name, 0.0, 1.0) for name in long)]
    views = drawn(parameters, score="mean intersection over union of all 42 categories")
    for name, figure in views.items():
        axes = [
            axis for axis in (*figure.select_xaxes(), *figure.select_yaxes()) if axis.visible is not False
        ]
        texts = [text for axis in axes for text in (axis.title.text, *(axis.ticktext or ())) if text]
        texts += [note.text for note in figure.layout.annotations]
        assert re.search(r"random crop( and)?<br>", " ".join(texts)), name
        assert max(len(row) for text in texts for row in text.split("<br>")) <= 30, name
        assert figure.layout.coloraxis.colorbar.title.side == "right"


def test_slices_are_three_side_by_side() -> None:
    slices = drawn([FloatParameter(name, 0.0, 1.0) for name in "abcdefg"])["slices"]
    places = [(axis.title.text, axis.domain[0]) for axis in slices.select_xaxes() if axis.title.text]
    assert [name for name, left in places if left == 0.0] == ["a", "d", "g"]


def test_points_have_the_values_of_their_trials_and_none_without_one() -> None:
    kind = ChoiceParameter("kind", ("a", "b"))
    views = drawn([kind, FloatParameter("x", 0.001, 1.0, log=True, when=(("kind", "b"),))])
    kinds, x = views["slices"].data
    assert set(kinds.text) == {"a", "b"}
    assert [text == "" for text in x.text] == [text == "a" for text in kinds.text]
    assert all(0.001 <= float(text) <= 1 for text in x.text if text)


def test_surface_of_contours_is_small_and_lies_between_the_scores() -> None:
    figure = drawn([FloatParameter("x", 0.0, 1.0), FloatParameter("y", 0.0, 1.0)], 60)["contours"]
    (surface,) = figure.select_traces(selector={"type": "contour"})
    assert np.shape(surface.z) == (41, 41)
    # Without scores beyond the outermost points.
    assert 0 < np.nanmin(surface.z) < np.nanmax(surface.z) <= 1 and np.isnan(surface.z[0][0])

"""Interactive figures of a search: texts are shown as they are, every trial is seen."""

import re

from hpo.search.searcher import ScoredPoint
from hpo.search.views import search_views
from hpo.space.parameters import ChoiceParameter, FloatParameter
from hpo.space.space import Space


def test_texts_with_markup_are_shown_as_they_are() -> None:
    space = Space([ChoiceParameter("kind", ("<b>bold&", "plain")), FloatParameter("x", 0.0, 1.0)])
    points = [
        ScoredPoint({"kind": kind, "x": at}, score)
        for kind, at, score in (("<b>bold&", 0.1, 0.2), ("plain", 0.5, 0.4), ("plain", 0.9, 0.3))
    ]
    views = search_views(space, points, label=str, pairs_of=["kind", "x"], target="score")
    for name in ("parallel", "slices", "contours"):
        shown = views[name].to_json()
        assert "&lt;b&gt;bold&amp;" in shown.replace("\\u003c", "<").replace("\\u0026", "&"), name
        assert "<b>bold" not in shown and "\\u003cb\\u003ebold" not in shown


def test_every_trial_is_seen_and_counted_from_one() -> None:
    space = Space([FloatParameter("x", 0.0, 1.0), FloatParameter("y", 0.0, 1.0)])
    points = [ScoredPoint({"x": at, "y": 1 - at}, at) for at in (0.1, 0.5, 0.9)]
    views = search_views(space, points, label=str, pairs_of=["x", "y"], target="score")
    lines = [trace for trace in views["parallel"].data if trace.mode == "lines"]
    shades = {line.y[0]: sum(map(int, re.findall(r"\d+", line.line.color))) for line in lines}
    # Dark blue, grey and yellow, of which none is white.
    assert sorted(shades) == [0.0, 0.5, 1.0]
    assert shades[0.0] < shades[0.5] < shades[1.0] < 3 * 200
    assert [list(trace.marker.color) for trace in views["slices"].data] == [[1, 2, 3]] * 2

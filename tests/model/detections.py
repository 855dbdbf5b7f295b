"""Small cases of spots and actions for the tests of the metrics."""

from collections.abc import Mapping, Sequence

import numpy as np
import oracles
from hypothesis import strategies as st

from model.spots import Spots

confidences = st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0.0, 1.0, width=32)
cells = st.tuples(st.integers(0, 1), st.integers(0, 60), st.integers(0, 1))


def found(most: int) -> st.SearchStrategy[list[oracles.Detection]]:
    """At most ``most`` detections in two halves of two classes."""
    return st.dictionaries(cells, confidences, max_size=most).map(
        lambda scores: [(*cell, score) for cell, score in scores.items()]
    )


def spots_of(detections: Sequence[oracles.Detection]) -> Spots:
    rows = np.array([row[:3] for row in detections], dtype=np.int64).reshape(-1, 3)
    return Spots.from_rows(*rows.T, np.array([row[3] for row in detections], dtype=np.float32))


def rows_of(actions: Sequence[oracles.Action] | Mapping[oracles.Action, bool]) -> np.ndarray:
    """Actions as stores have them; visible unless a mapping says otherwise."""
    visible = actions if isinstance(actions, Mapping) else dict.fromkeys(actions, True)
    rows = [(*action, int(visible[action])) for action in sorted(visible)]
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def detections_of(spots: Spots) -> list[oracles.Detection]:
    columns = (spots.half, spots.frame, spots.class_index, spots.score)
    return [(int(h), int(f), int(c), float(np.float64(s))) for h, f, c, s in zip(*columns, strict=True)]

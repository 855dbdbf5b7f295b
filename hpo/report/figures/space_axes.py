"""Axes of the hyperparameters of a search, which its pictures and interactive figures share.

Each axis runs from 0 to 1, as the searcher sees it, so that logarithmic scales and choices need nothing
special; its ticks have the values of the hyperparameter.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hpo.report.formats import value
from hpo.space.parameters import ChoiceParameter, Parameter
from hpo.space.symbols import is_in_frames, symbol

COLOUR_MAP = "cividis"
"""Colours of scores, which colour-blind people can read; plotly has the same."""
LIMITS = (-0.04, 1.04)
"""Ends of an axis, with room for the points at 0 and 1."""
_TICKS = (0.0, 0.5, 1.0)

Shown = Sequence[Parameter]
"""The parameters with more than one value, which have an axis."""
Places = npt.NDArray[np.float64]
"""Positions of trials in the unit cube (trials, parameters); NaN where a parameter has no value."""
Scores = npt.NDArray[np.float64]
"""Score of each trial."""


def span_surface(x: Places, y: Places) -> bool:
    """Return whether points have a surface between them: three or more, not on one line."""
    return len(x) > 0 and int(np.linalg.matrix_rank(np.column_stack([x - x[0], y - y[0]]), tol=1e-6)) == 2


def axis_name(parameter: Parameter) -> str:
    """Return the paper's symbol of a hyperparameter, with its unit if that is frames, and its scale."""
    unit = " (frames)" if is_in_frames(parameter.name) else ""
    scale = ", log" if getattr(parameter, "log", False) else ""
    return f"{symbol(parameter.name)}{unit}{scale}"


def axis_ticks(parameter: Parameter) -> dict[float, str]:
    """Return position -> label for the ticks of a parameter: of texts all, or else three values at most."""
    values = (
        parameter.choices
        if isinstance(parameter, ChoiceParameter) and parameter.is_text
        else dict.fromkeys(map(parameter.from_unit, _TICKS))
    )
    return {parameter.to_unit(each): value(each) for each in values}

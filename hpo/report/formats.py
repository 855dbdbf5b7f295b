"""Formats of numbers and scores."""

from collections.abc import Mapping
from typing import Any

from hpo.journal.ranking import Configuration
from hpo.journal.results import StudyState
from hpo.tasks.base.registry import classes_of, score_of
from model.wording import with_interval

_EXACT = 1e15
"""Size up to which a float that is a whole number is shown with all its digits."""


def duration(seconds: float) -> str:
    """Format seconds with the two largest units: ``"1 h 05 min"``, ``"3 min 20 s"``, ``"12 s"``."""
    whole = max(0, round(seconds))
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days} d {hours:02d} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    if minutes:
        return f"{minutes} min {left:02d} s"
    return f"{left} s"


def value(number: float | int | str) -> str:
    """Format the value of a hyperparameter: whole numbers with all their digits, texts as they are.

    Other numbers have four significant digits. Texts that would look like nothing or like a number have
    quotation marks.
    """
    if isinstance(number, str):
        return repr(number) if _is_ambiguous(number) else number
    if isinstance(number, float):
        is_whole = number.is_integer() and abs(number) < _EXACT
        return str(int(number)) if is_whole else f"{number:.4g}"
    return str(number)


def _is_ambiguous(text: str) -> bool:
    if not text or text != text.strip():
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def values_tried(axis: Mapping[str, Any]) -> str:
    """Describe the values that a search tries, as ``whole numbers 4 to 32, logarithmic`` or ``fixed: 16``."""
    if axis.get("type") == "choice" and len(axis["choices"]) == 1:
        return f"fixed: {axis['choices'][0]}"
    if "low" in axis and axis["low"] == axis["high"]:
        return f"fixed: {axis['low']}"
    condition = " and ".join(f"{key} = {inner}" for key, inner in axis.get("when", {}).items())
    when = f", when {condition}" if condition else ""
    if "low" in axis:
        kind = "whole numbers " if axis.get("type") == "int" else ""
        scale = ", logarithmic" if axis.get("log") else ""
        return f"{kind}{_bound(axis['low'])} to {_bound(axis['high'])}{scale}{when}"
    return f"one of {', '.join(map(value, axis['choices']))}{when}"


def _bound(number: float) -> str:
    return value(number) if number == round(number) else f"{number:g}"


def score_label(state: StudyState) -> str:
    """Return the name of the study's score, such as ``Average-mAP``.

    If a class has no actions in the validation split, the name says over which classes the score is a mean.
    """
    score, classes = score_of(state.created), classes_of(state.created)
    best = [configuration for stage in state.stages for configuration in state.ranked(stage, 1)]
    absent = any(score.other_mean(configuration.metrics, classes) for configuration in best)
    return score.full_label if absent else score.label


def mean_with_interval(configuration: Configuration) -> str:
    """Format the mean of a configuration, such as ``0.4012 ± 0.0300``; a single seed has no interval."""
    return with_interval(configuration.mean, configuration.half_width)


def expected_score(configuration: Configuration) -> str:
    """Format the score that the model of a search expects, such as ``0.4012 ± 0.0300``; ``-`` without one."""
    expected = configuration.expected
    return with_interval(expected.mean, expected.half_width) if expected else "-"


def class_score(metrics: Mapping[str, float], name: str, digits: int = 4) -> str:
    """Format the AP of a class; ``-`` for a class without actions, which has none."""
    found = metrics.get(f"ap/{name}")
    return "-" if found is None else f"{found:.{digits}f}"

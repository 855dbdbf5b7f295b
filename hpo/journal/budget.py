"""Budgets of a study: the limits that hold for a stage, and how much time they leave."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from hpo.journal.results import StudyState
from hpo.journal.trial_state import TrialState

TRIAL_START_S = 0.5
"""Seconds that a running process needs to open the data and draw the weights."""
_LATEST = 50
"""Number of trials from which the time of the next one is estimated, the latest ones with a validation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit of a budget."""

    words: str
    """The limit in words, such as ``2 h``."""
    left_s: float
    """Seconds that are left; 0 or less when the time is up."""
    hours: float | None = None
    """The limit in hours; None for a time of the day."""
    of_stage: bool = False
    """Whether it limits the stage alone."""


def time_left(state: StudyState, stage: str, now: datetime, *, is_running: bool) -> Limit | None:
    """Return the limit of a stage that leaves the least time; None if there is no limit.

    Args:
        state: The study.
        stage: The stage, which may not have started yet.
        now: The present time.
        is_running: Whether the study runs now, so that the time since its last event counts.
    """
    ran_s = state.running.seconds(now if is_running else None)
    return min(_limits(state, stage, ran_s, now), key=lambda limit: limit.left_s, default=None)


def trial_s(state: StudyState, stage: str, epochs: int) -> float | None:
    """Return the expected seconds of a trial on the clock, measured in the stage, else in the whole study.

    None before the first validation.
    """
    for trials in (state.trials_of(stage), list(state.trials.values())):
        latest = [trial for trial in trials if trial.reports][-_LATEST:]
        if latest:
            trained = sum(trial.epochs_trained for trial in latest)
            return TRIAL_START_S + epochs * sum(map(_on_the_clock_s, latest)) / trained
    return None


def _on_the_clock_s(trial: TrialState) -> float:
    """Return the seconds that a trial has trained; of those of an array it has recorded its share only."""
    return trial.reports[trial.epochs_trained].train_s * trial.together


def _limits(state: StudyState, stage: str, ran_s: float, now: datetime) -> Iterator[Limit]:
    typed = state.budget
    if typed is None:
        yield from _limits_of_study_file(state, stage, ran_s)
        return
    if typed.hours is not None and math.isfinite(typed.hours):
        yield _of_hours(typed.hours, ran_s - state.budget_since_s)
    if typed.until is not None:
        left_s = (typed.until - now).total_seconds()
        yield Limit(words=f"until {typed.until.astimezone():%Y-%m-%d %H:%M}", left_s=left_s)


def _limits_of_study_file(state: StudyState, stage: str, ran_s: float) -> Iterator[Limit]:
    whole = state.created.plan.get("study", {}).get("hours")
    if whole is not None:
        yield _of_hours(whole, ran_s)
    asked, started = state.asked.get(stage), state.stages.get(stage)
    hours = asked.settings.get("hours") if asked else None
    if hours is not None:
        used_s = ran_s - started.began_s if started else 0.0
        yield replace(_of_hours(hours, used_s), words=f"{hours:g} h for stage {stage}", of_stage=True)


def _of_hours(hours: float, used_s: float) -> Limit:
    return Limit(words=f"{hours:g} h", left_s=3600 * hours - used_s, hours=hours)

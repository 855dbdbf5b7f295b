"""Sentences about the budget of a study."""

import math
from datetime import UTC, datetime

from hpo.journal.budget import time_left, trial_s
from hpo.journal.continuing import resume_command
from hpo.journal.results import StudyState
from hpo.report.formats import duration


def left_line(state: StudyState, stage: str, now: datetime, *, is_running: bool) -> str:
    """Say what a budget leaves, such as ``budget of 2 h: 40 min left``; empty without one.

    Args:
        state: The study.
        stage: A stage that has started and not ended.
        now: The present time.
        is_running: Whether the study runs now.
    """
    limit = time_left(state, stage, now, is_running=is_running)
    if limit is None:
        return ""
    left_s = max(0.0, limit.left_s)
    expected_s = trial_s(state, stage, state.stages[stage].epochs)
    most = fitting(left_s, expected_s, _concurrent(state, stage)) if expected_s else 0
    kind = "time" if limit.words.startswith("until") else "budget of"
    return f"{kind} {limit.words}: {duration(left_s)} left{_enough_for(most, state, stage)}"


def fitting(left_s: float, trial_s: float, concurrent: int) -> int:
    """Return how many trials can start and end within ``left_s`` seconds."""
    return math.floor(left_s / trial_s) * concurrent


def more_time(state: StudyState, *options: str, cluster: str | None = None) -> str:
    """Return the command that gives a study whose budget is over the same number of hours again.

    After a budget until a time of the day, it is one hour. If the hours did not suffice for a single
    validation, they would not do so again: the command sets no limit. ``options`` are further options of the
    command, ``cluster`` is the address of the Ray cluster that trains the study.
    """
    stage = state.pending[0]
    limit = time_left(state, stage, datetime.now(UTC), is_running=False)
    hours = limit.hours if limit and limit.hours else 1
    again = "inf" if _has_gained_nothing(state, stage) else f"{hours:g}"
    return resume_command(state.created.study, *options, "--hours", again, cluster=cluster)


def over_lines(state: StudyState, cluster: str | None = None) -> list[str]:
    """Say that the budget of a study is over, what has ended, what waits, and how to continue.

    ``cluster`` is the address of the Ray cluster that trains the study.
    """
    stage = state.pending[0]
    tally, planned = state.tally(stage), state.stages[stage].trials
    validated = sum(bool(trial.reports) for trial in tally.unfinished.values())
    kept = f", {validated} kept at the last validation" if validated else ""
    return [
        f"the budget of {state.budget_over} is over: {len(tally.ended)} of {planned} trials of stage {stage} "
        f"have ended{kept}",
        f"continue with: {more_time(state, cluster=cluster)}",
    ]


def _has_gained_nothing(state: StudyState, stage: str) -> bool:
    """Whether no trial has ended or been validated since the study got its budget."""
    since = state.budget.at if state.budget else state.created.at
    trials = state.trials_of(stage)
    times = [report.at for trial in trials for report in trial.reports.values()]
    times += [trial.ended_at for trial in trials if trial.ended_at is not None]
    return not any(time >= since for time in times)


def _enough_for(trials: int, state: StudyState, stage: str) -> str:
    if not trials:
        return ""
    if trials >= state.stages[stage].trials - len(state.trials_of(stage)):
        return ", enough for all trials"
    return f", enough for about {trials} more {'trial' if trials == 1 else 'trials'}"


def _concurrent(state: StudyState, stage: str) -> int:
    asked = state.asked.get(stage)
    concurrent = asked.settings.get("concurrent") if asked else None
    return concurrent if isinstance(concurrent, int) else 1

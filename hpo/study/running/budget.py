"""Budgets as typed, and the decision whether another trial fits into the time that is left."""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hpo.config.environment import Environment
from hpo.journal.budget import Limit, time_left, trial_s
from hpo.journal.continuing import resume_command
from hpo.journal.events import BudgetSet, StageAsked
from hpo.journal.results import StudyState
from hpo.report.budget_lines import more_time
from hpo.study.estimate import estimate
from hpo.study.plan import StudyPlan
from model.errors import ConfigError, UserError


def typed_budget(hours: float | None, until: str | None) -> BudgetSet | None:
    """Return the budget that was typed; None without one.

    Args:
        hours: Hours above 0; infinite for no limit.
        until: Time of the day such as ``18:00``, the next one to come, or a date and time.

    Raises:
        ConfigError: A value cannot be used, or the time has passed.
    """
    if hours is None and until is None:
        return None
    if hours is not None and not hours > 0:
        raise ConfigError(f"expected --hours above 0, or inf for no limit, got {hours:g}")
    if hours is not None and math.isinf(hours * 3600):
        hours = math.inf
    return BudgetSet(hours=hours, until=None if until is None else moment(until, datetime.now().astimezone()))


def moment(text: str, now: datetime) -> datetime:
    """Return the time after ``now`` that ``text`` names in the time zone of this machine.

    Raises:
        ConfigError: It names no time, or one that has passed.
    """
    with suppress(ValueError):
        clock = datetime.strptime(text, "%H:%M").time()
        days = (now.date() + timedelta(days=number) for number in (0, 1))
        # Each day has its own distance from UTC, which changes with daylight saving time.
        today, tomorrow = (datetime.combine(day, clock).astimezone() for day in days)
        return (today if today > now else tomorrow).astimezone(UTC)
    try:
        named = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigError(
            f'expected --until TIME such as 18:00 or "2026-01-31 18:00", got {text!r}'
        ) from None
    if named <= now:
        raise ConfigError(f"--until {text} has passed: it is {now:%Y-%m-%d %H:%M} here")
    return named


def begun(budget: BudgetSet | None) -> list[BudgetSet]:
    """Return the event of a budget that begins now, after the preparation of the study."""
    return [] if budget is None else [replace(budget, at=datetime.now(UTC))]


def next_budget(state: StudyState, budget: BudgetSet | None) -> list[BudgetSet]:
    """Return the event of the budget of a study that is to go on with other stages or more trials.

    One that was typed earlier holds until it is used up or the stages that it was typed for have ended.
    """
    is_over = not state.pending or _used_up(state, state.pending[0])
    return begun(BudgetSet() if budget is None and state.budget and is_over else budget)


def _used_up(state: StudyState, stage: str) -> Limit | None:
    """Return the limit of a study that does not run if it leaves no time for a stage; None otherwise."""
    limit = time_left(state, stage, datetime.now(UTC), is_running=False)
    return limit if limit and (state.budget_over or limit.left_s <= 0) else None


def require_time(
    state: StudyState,
    budget: BudgetSet | None,
    *,
    options: Sequence[str] = (),
    cluster: str | None = None,
) -> None:
    """Check that the budget of a study that is to go on is not used up.

    Args:
        state: The study.
        budget: A new budget, if one was typed.
        options: Other options with which ``hpo resume`` was typed.
        cluster: Address of the Ray cluster that is to train the study.

    Raises:
        UserError: It is used up, and no new one was typed.
    """
    waiting = [name for name in state.pending if not (name in state.stages and state.stages[name].cut_short)]
    if budget is not None or not waiting:
        return
    study = state.created.study
    if limit := _used_up(state, waiting[0]):
        commands = {more_time(state, *options, cluster=cluster): "give it a new one"}
        without = resume_command(study, *options, "--hours", "inf", cluster=cluster)
        commands.setdefault(without, "without a limit")
        raise UserError(
            f"the budget of study {study!r} is used up: {limit.words}",
            fix="; ".join(f"{what}: {command}" for command, what in commands.items()),
        )


def expected_limit(state: StudyState, asked: StageAsked) -> Limit | None:
    """Return the limit of a stage if it started now; this changes ``state``."""
    state.asked[asked.stage] = asked
    return time_left(state, asked.stage, datetime.now(UTC), is_running=False)


class StageBudget:
    """Decides for one stage in this session whether there is time for another trial.

    Args:
        state: The running study.
        stage: Name of the stage.
        epochs: Epochs per trial.
        measured_s: Seconds of a trial, measured before the study has trained any; None: unknown.
        clock: Returns the present time in UTC.
    """

    def __init__(
        self,
        state: StudyState,
        stage: str,
        epochs: int,
        measured_s: float | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._state, self._stage, self._epochs = state, stage, epochs
        self._measured_s, self._clock = measured_s, clock

    @property
    def limit(self) -> Limit | None:
        """The limit that leaves the least time; None without a budget."""
        return time_left(self._state, self._stage, self._clock(), is_running=True)

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return (limit := self.limit) is not None and limit.left_s <= 0

    @property
    def has_room(self) -> bool:
        """Whether a trial that starts now can end in time."""
        limit = self.limit
        needed_s = trial_s(self._state, self._stage, self._epochs) or self._measured_s or 0.0
        return limit is None or limit.left_s > needed_s


def measured_trial_s(
    plan: StudyPlan, stage: str, state: StudyState, environment: Environment
) -> float | None:
    """Measure the seconds of a trial if a budget needs them and the study has trained none yet."""
    has_limit = time_left(state, stage, datetime.now(UTC), is_running=True) is not None
    if not has_limit or trial_s(state, stage, plan.study.training.epochs) is not None:
        return None
    measured = estimate(plan, plan.parallelism(stage), environment, trials=1)
    return measured.trial.trial_s if measured else None

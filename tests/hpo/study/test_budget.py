import math
import time
from datetime import UTC, datetime, timedelta

import pytest

from hpo.journal.events import (
    BudgetEnded,
    BudgetSet,
    StageAsked,
    StageStarted,
    StudyCreated,
    TrialAsked,
    TrialFinished,
)
from hpo.journal.results import StudyState
from hpo.study.budget import moment, next_budget, require_time, typed_budget
from model.errors import ConfigError, UserError


def test_a_time_of_the_day_is_the_next_one_to_come() -> None:
    now = datetime.now().astimezone()
    for moved, days in ((timedelta(minutes=5), 0), (timedelta(minutes=-5), 1)):
        typed = (now + moved).replace(second=0, microsecond=0)
        budget = typed_budget(None, f"{typed:%H:%M}")
        assert budget is not None and budget.until is not None
        if typed.date() == now.date():  # not around midnight
            assert budget.until == typed + timedelta(days=days)


def test_the_next_day_may_have_another_distance_from_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")  # clocks go forward on 29 March 2026
        time.tzset()
        found = moment("18:00", datetime(2026, 3, 28, 19).astimezone())
    time.tzset()
    assert found == datetime(2026, 3, 29, 16, tzinfo=UTC)


def test_a_date_and_time_is_taken_in_the_local_time_zone() -> None:
    budget = typed_budget(2.5, "2999-01-31 18:00")
    assert budget is not None and budget.hours == 2.5
    assert budget.until == datetime(2999, 1, 31, 18).astimezone(UTC)


def test_hours_that_no_clock_can_count_are_no_limit() -> None:
    budget = typed_budget(1e308, None)
    assert budget is not None and budget.hours == math.inf


@pytest.mark.parametrize(
    ("hours", "until", "complaint"),
    [
        (0.0, None, "expected --hours above 0, or inf for no limit, got 0"),
        (float("nan"), None, "expected --hours above 0"),
        (None, "tomorrow", "expected --until TIME such as 18:00"),
        (None, "25:00", "expected --until TIME such as 18:00"),
        (None, "2020-01-31 18:00", "--until 2020-01-31 18:00 has passed"),
    ],
)
def test_budget_that_cannot_be_used_is_refused(
    hours: float | None, until: str | None, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        typed_budget(hours, until)


def study(*, hours: float | None = None) -> StudyState:
    created = StudyCreated(
        study="s", plan={"study": {"hours": hours}}, seed=0, data_digest="", code_digest="", versions={}
    )
    asked = StageAsked(stage="bayes", settings={})
    return StudyState.replay([created, asked, StageStarted(stage="bayes", space={}, trials=9)])


def test_resume_needs_time_or_a_new_budget() -> None:
    state = study(hours=1)
    require_time(state, None)
    state.apply(BudgetEnded(stage="bayes", budget="1 h"))
    with pytest.raises(UserError, match="the budget of study 's' is used up: 1 h") as refusal:
        require_time(state, None)
    assert refusal.value.details["fix"] == "give it a new one: hpo resume s --hours inf"
    require_time(state, BudgetSet(hours=1))
    state.apply(TrialAsked(trial="t", stage="bayes", parameters={}, seed=0))
    state.apply(TrialFinished(trial="t", score=0.5, epoch=1, duration_s=1.0))
    with pytest.raises(UserError) as refusal:
        require_time(state, None)
    assert refusal.value.details["fix"] == (
        "give it a new one: hpo resume s --hours 1; without a limit: hpo resume s --hours inf"
    )


def test_budget_of_one_command_is_not_that_of_the_next() -> None:
    state = study()
    assert next_budget(state, None) == []
    state.apply(BudgetSet(hours=1))
    (lifted,) = next_budget(state, None)
    assert (lifted.hours, lifted.until) == (None, None)

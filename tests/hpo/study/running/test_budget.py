import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hpo.config.environment import Environment
from hpo.journal.budget import Limit
from hpo.journal.events import (
    BudgetEnded,
    BudgetSet,
    Event,
    Noticed,
    StageAsked,
    StageFinished,
    StageStarted,
    StudyCreated,
    TrialAsked,
    TrialFailed,
    TrialFinished,
)
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState
from hpo.study.folders import study_folder
from hpo.study.plan import StageRequest, StudyPlan
from hpo.study.running import session
from hpo.study.running.budget import moment, next_budget, require_time, typed_budget
from hpo.study.running.preparing import creation
from model.errors import ConfigError, UserError


@pytest.fixture
def in_utc() -> Iterator[None]:
    """A time zone without daylight saving time, in which every day has 24 hours."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_utc")
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
    state = study(hours=8)
    require_time(state, None)
    state.apply(BudgetEnded(stage="bayes", budget="8 h"))
    with pytest.raises(UserError, match="the budget of study 's' is used up: 8 h") as refusal:
        require_time(state, None)
    assert refusal.value.details["fix"] == "give it a new one: hpo resume s --hours inf"
    require_time(state, BudgetSet(hours=1))
    state.apply(TrialAsked(trial="t", stage="bayes", parameters={}, seed=0))
    state.apply(TrialFinished(trial="t", score=0.5, epoch=1, duration_s=1.0))
    with pytest.raises(UserError) as refusal:
        require_time(state, None)
    assert refusal.value.details["fix"] == (
        "give it a new one: hpo resume s --hours 8; without a limit: hpo resume s --hours inf"
    )


def test_budget_holds_until_it_is_used_up_or_its_stages_have_ended() -> None:
    state = study()
    assert next_budget(state, None) == []
    state.apply(BudgetSet(hours=1))
    assert next_budget(state, None) == []
    assert [event.hours for event in next_budget(state, BudgetSet(hours=2))] == [2]
    over, ended = BudgetEnded(stage="bayes", budget="1 h"), StageFinished(stage="bayes", best_trial="")
    passed = BudgetSet(until=datetime(2026, 1, 2, tzinfo=UTC))
    for event in (over, ended, passed):
        state = study()
        state.apply(BudgetSet(hours=1))
        state.apply(event)
        (lifted,) = next_budget(state, None)
        assert (lifted.hours, lifted.until) == (None, None)


def silent(*_: object) -> None:
    """Progress that nobody watches."""


def searched(plan: StudyPlan, environment: Environment, *, hours: float, ran_min: Sequence[int]) -> None:
    """Study "old", begun two days ago: a search with a budget, whose last trial ended after ``ran_min``."""
    began = datetime.now(UTC) - timedelta(days=2)
    settings = plan.study.stages.named("bayes").model_dump(mode="json")
    settings |= {"hours": hours, "concurrent": 1, "array": 1}
    space = plan.task.varied(plan.study, "bayes", plan.shape)
    events: list[Event] = [
        replace(creation(plan, study_folder(environment, "old")), at=began),
        StageAsked(stage="bayes", settings=settings, at=began),
        StageStarted(stage="bayes", space=space, trials=2, epochs=2, at=began),
    ]
    ends = [
        TrialFinished(trial="bayes-0001", score=0.5, epoch=2, duration_s=1.0),
        TrialFailed(trial="bayes-0002", reason="x"),
    ]
    for f, (end, minutes) in enumerate(zip(ends, ran_min, strict=False), start=2):
        at = began + timedelta(minutes=minutes)
        events += [TrialAsked(trial=end.trial, stage="bayes", parameters={"f": f}, seed=0, at=at)]
        events += [replace(end, at=at)]
    if len(ran_min) == len(ends):
        events += [StageFinished(stage="bayes", best_trial="bayes-0001", chosen={"f": 2}, at=events[-1].at)]
    with Journal.create(study_folder(environment, "old")) as journal:
        for event in events:
            journal.append(event)


def previewed(environment: Environment, *, trials: int = 9, budget: BudgetSet | None = None) -> Limit:
    request = StageRequest(name="bayes", options={"trials": trials})
    (stage,) = session.preview_continuation("old", [request], environment, silent, budget=budget)
    assert stage.limit is not None
    return stage.limit


@pytest.mark.parametrize("ran_min", [[30], [10, 30]], ids=["killed", "ended"])
def test_dry_run_counts_no_day_on_which_the_study_did_not_run(
    small_plan: StudyPlan, environment: Environment, ran_min: list[int]
) -> None:
    searched(small_plan, environment, hours=1, ran_min=ran_min)
    assert previewed(environment).left_s == pytest.approx(1800, abs=1)
    assert previewed(environment, budget=BudgetSet(hours=2)).left_s == pytest.approx(7200, abs=1)
    with Journal.open(study_folder(environment, "old")) as journal:
        journal.append(BudgetSet(hours=0.25, at=journal.events()[-1].at))
    kept_s = 900 if len(ran_min) == 1 else 1800  # the search that has ended had it
    assert previewed(environment).left_s == pytest.approx(kept_s, abs=1)


def test_dry_run_of_more_trials_counts_no_time_of_later_stages(
    small_plan: StudyPlan, environment: Environment
) -> None:
    searched(small_plan, environment, hours=1, ran_min=[10, 30])
    with Journal.open(study_folder(environment, "old")) as journal:
        ended_at = journal.events()[-1].at
        journal.append(Noticed(message="a final ran for a day", at=ended_at + timedelta(days=1)))
    assert previewed(environment).left_s == pytest.approx(1800, abs=1)


def test_failed_trials_are_not_trained_again_without_time(
    small_plan: StudyPlan, environment: Environment
) -> None:
    searched(small_plan, environment, hours=0.5, ran_min=[10, 30])
    folder = study_folder(environment, "old")
    before = (folder / "journal.jsonl").read_bytes()
    with pytest.raises(UserError, match=r"is used up: 0\.5 h for stage bayes") as refusal:
        session.resume_study("old", environment, silent, silent, retry_failed=True)
    assert refusal.value.details["fix"].startswith(
        "give it a new one: hpo resume old --retry-failed --hours 0.5;"
    )
    assert (folder / "journal.jsonl").read_bytes() == before

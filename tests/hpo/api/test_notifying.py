"""Word about a running study: which events are worth it, and that a failure to send harms nothing."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from notification_server import Received, notification_server

from hpo.api.notifying import Channel, Message, Sender, channel_of, notifying
from hpo.journal.events import (
    HUNG,
    BudgetEnded,
    BudgetSet,
    Event,
    Noticed,
    StageAsked,
    StageFinished,
    StageStarted,
    StudyCreated,
    StudyInterrupted,
    TrialAsked,
    TrialFailed,
    TrialFinished,
)
from hpo.study.running.pending_stages import ALL_FAIL
from model.errors import ConfigError, UserError

SECRET = "Pl4nted-s3cret"


@pytest.fixture
def received() -> Iterator[Received]:
    with notification_server() as server:
        yield server


def beginning(trials: int = 8) -> list[Event]:
    plan = {"study": {"task": "calf"}}
    created = StudyCreated(study="mine", plan=plan, seed=0, data_digest="d", code_digest="c", versions={})
    stages: list[Event] = [
        StageAsked(stage="bayes", settings={}),
        StageAsked(stage="final", settings={}),
        StageStarted(stage="bayes", space={}, trials=trials),
    ]
    asked = [
        TrialAsked(trial=f"bayes-{number}", stage="bayes", parameters={"f": number}, seed=1)
        for number in range(trials)
    ]
    return [created, *stages, *asked]


def sent(received: Received, events: list[Event], cluster: str | None = None, **wrong: Any) -> list[str]:
    with notifying(Channel([received.url()]), Path("mine"), pytest.fail, cluster) as [announce]:
        for event in events:
            announce(event)
        if "error" in wrong:
            raise wrong["error"]
    return received.titles


def test_end_of_a_stage_names_the_best_configuration(received: Received) -> None:
    finished = TrialFinished(trial="bayes-0", score=0.5, epoch=3, duration_s=1.0)
    failed = TrialFailed(trial="bayes-1", reason="loss is NaN")
    end = StageFinished(stage="bayes", best_trial="bayes-0", chosen={"f": 0})
    assert sent(received, [*beginning(2), finished, failed, end]) == ["mine: stage bayes has ended"]
    body = received.messages[0]["message"]
    assert "1 trial finished, 1 failed" in body and "Average-mAP 0.5000 by bayes-0" in body


def test_end_of_the_last_stage_is_that_of_the_study(received: Received) -> None:
    ends: list[Event] = [StageFinished(stage=name, best_trial="") for name in ("bayes", "final")]
    start = StageStarted(stage="final", space={}, trials=1)
    assert sent(received, [*beginning(), ends[0], start, ends[1]])[1:] == [
        "mine: stage final has ended, and the study with it"
    ]
    assert "No trial has a score" in received.messages[1]["message"]


def test_many_failures_are_told_once_and_single_ones_never(received: Received) -> None:
    failures = [TrialFailed(trial=f"bayes-{number}", reason="no memory") for number in range(8)]
    assert sent(received, [*beginning(), *failures[:2]]) == []
    assert sent(received, [*beginning(), *failures]) == ["mine: 3 of 3 trials of stage bayes have failed"]
    assert received.messages[0]["message"] == "The latest reason: no memory"


def test_failures_that_are_few_among_many_trials_are_not_told(received: Received) -> None:
    finished: list[Event] = [
        TrialFinished(trial=f"bayes-{number}", score=0.5, epoch=3, duration_s=1.0) for number in range(5)
    ]
    failures = [TrialFailed(trial=f"bayes-{number}", reason="no memory") for number in range(5, 8)]
    assert sent(received, [*beginning(), *finished, *failures]) == []


def test_hang_and_interruption_are_told_other_notices_are_not(received: Received) -> None:
    notices: list[Event] = [Noticed(message=f"bayes-1 {HUNG} 60 s."), Noticed(message="something else")]
    stop = StudyInterrupted(reason="stopped")
    assert sent(received, [*beginning(), *notices, stop]) == ["mine: a trial hung", "mine: stopped"]
    assert received.messages[1]["message"] == "The study has not ended: stopped. Continue: hpo resume mine"


def test_budget_that_is_over_is_told_with_a_command_that_works(received: Received) -> None:
    budget, over = BudgetSet(hours=2.0, until=None), "2 h"
    ended = BudgetEnded(stage="bayes", budget=over, of_stage=False, suffices=True)
    stop = StudyInterrupted(reason=f"the budget of {over} is over")
    assert sent(received, [*beginning(), budget, ended, stop]) == ["mine: stopped"]
    assert received.messages[0]["message"].endswith(
        "the budget of 2 h is over. Continue: hpo resume mine --hours inf"
    )


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("stopped", "Continue: hpo resume mine --ray-address head:6379"),
        (ALL_FAIL, "the cause: hpo resume mine --retry-failed --ray-address head:6379"),
    ],
)
def test_message_about_a_stop_has_the_command_that_continues_for_this_reason(
    reason: str, told: str, received: Received
) -> None:
    sent(received, [*beginning(), StudyInterrupted(reason=reason)], "head:6379")
    assert received.messages[0]["message"].endswith(told)


@pytest.mark.parametrize(
    ("error", "told"), [(UserError("no room"), "no room"), (RuntimeError(SECRET), "RuntimeError")]
)
def test_error_that_ends_a_study_is_told_and_passes(received: Received, error: Exception, told: str) -> None:
    with pytest.raises(type(error)):
        sent(received, [], error=error)
    assert (received.titles, received.messages[0]["message"]) == (["mine: stopped by an error"], told)


def test_message_that_is_not_delivered_is_said_once_without_its_address() -> None:
    said: list[str] = []
    with notification_server(status=500) as server:
        url = server.url(f"me:{SECRET}@")
        with notifying(Channel([url]), Path("mine"), said.append) as [announce]:
            for event in [*beginning(), *(StageFinished(stage="bayes", best_trial="") for _ in range(3))]:
                announce(event)
    assert said == ["a notification to json://*** was not delivered; the study is not affected"]
    assert len(server.messages) >= 2


def test_service_that_hangs_holds_up_nothing() -> None:
    said: list[str] = []
    answer = threading.Event()

    class Hanging:
        def send(self, message: object) -> list[str]:
            answer.wait()
            return []

    sender = Sender(Hanging(), said.append)  # type: ignore[arg-type]
    sender.put(Message("a", "b"))
    sender.close(0.05)
    answer.set()
    assert said == ["a notification was not sent within 0.05 s; the study is not affected"]


def test_missing_package_is_an_error_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ConfigError, match="notifications need the package apprise") as refused:
        Channel(["json://host"])
    assert "pip install apprise" in str(refused.value)


@pytest.mark.parametrize("url", [f"nonsense://{SECRET}", SECRET, f"slack://{SECRET}"])
def test_address_that_apprise_does_not_know_is_an_error_that_hides_it(
    url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="Apprise cannot use the address") as refused:
        Channel([url])
    out, err = capfd.readouterr()
    assert SECRET not in str(refused.value) + out + err


def test_address_of_the_study_that_cannot_be_used_here_does_not_stop_it() -> None:
    said: list[str] = []
    assert channel_of([], ["$NOT_SET"], said.append) is None
    assert said == [
        "no notifications: the address for notifications $NOT_SET names an environment variable that is not "
        "set"
    ]
    with pytest.raises(ConfigError, match="that is not set"):
        channel_of(["$NOT_SET"], [], said.append)
    assert channel_of([], [], said.append) is None and len(said) == 1

"""A study ends with an error when Ray is lost for good, and only then."""

import os
import threading

import pytest

from hpo.schedule.ray_watch import ended_when_lost
from model.errors import UserError

LOST = UserError("the cluster is lost", fix="hpo resume night")


def test_a_ray_that_answers_again_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[UserError | None] = [None, None, LOST, None, LOST]
    looked, exits = threading.Event(), list[int]()

    def look() -> UserError | None:
        if not seen:
            looked.set()
        return seen.pop() if seen else None

    monkeypatch.setattr(os, "_exit", exits.append)
    with ended_when_lost(look, every_s=0.001, after_s=30):
        assert looked.wait(30)
    assert exits == []


def test_a_ray_that_stays_away_ends_the_process_with_the_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended, left, exits = threading.Event(), threading.Event(), list[int]()

    def leave(code: int) -> None:
        exits.append(code)
        ended.set()
        left.wait(30)  # the process would have ended here

    monkeypatch.setattr(os, "_exit", leave)
    with ended_when_lost(lambda: LOST, every_s=0.001, after_s=0.01):
        assert ended.wait(30)
    left.set()
    assert exits == [2]
    assert capsys.readouterr().err == f"error: {LOST}\n"

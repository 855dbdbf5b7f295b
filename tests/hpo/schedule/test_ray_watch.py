"""A study ends with an error when Ray is lost for good, and only then."""

import os
import threading
from types import SimpleNamespace

import pytest

from hpo.schedule import ray_watch
from hpo.schedule.ray_watch import ended_when_lost
from model.errors import UserError

LOST = UserError("the cluster is lost", fix="hpo resume night")


def test_a_ray_that_answers_again_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    # Second -> what a look finds: Ray was lost 40 s ago for the first time, but not for 30 s on end.
    found: dict[float, UserError | None] = {1.0: LOST, 21.0: None, 41.0: LOST, 61.0: None}
    looks, looked, exits = iter(found), threading.Event(), list[int]()
    now_s = 0.0

    def look() -> UserError | None:
        nonlocal now_s
        now_s = next(looks, 0.0)
        if now_s == 0.0:
            looked.set()
        return found.get(now_s)

    monkeypatch.setattr(ray_watch, "time", SimpleNamespace(monotonic=lambda: now_s))
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

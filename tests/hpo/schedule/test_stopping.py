"""What the rules stop, that they decide as Ray's schedulers, and that a replay makes the same decisions."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.schedule.rule import StoppingRule
from hpo.schedule.stopping import build_stopping_rule
from hpo.tasks.calf.stages import CalfSearch, GridStage
from model.errors import ConfigError

EPOCHS = 9
Curves = Sequence[Sequence[float]]
"""Scores of each trial after epoch 1, 2, ...; trials run one after the other."""


def stage(scheduler: str, **settings: object) -> CalfSearch:
    space = {"f": {"type": "int", "low": 1, "high": 8}}
    return CalfSearch.model_validate({"trials": 9, "space": space, "scheduler": scheduler, **settings})


def rule(scheduler: str, **settings: object) -> StoppingRule:
    return build_stopping_rule(stage(scheduler, **settings), epochs=EPOCHS)


def validations(rule: StoppingRule, curves: Curves) -> Iterator[tuple[str, int, float, bool]]:
    """Trial, epoch, score and decision, of trials that train until they end or are stopped."""
    for number, curve in enumerate(curves):
        for epoch, score in enumerate(curve, start=1):
            stops = rule.should_stop(f"t{number}", epoch, score)
            yield f"t{number}", epoch, score, stops
            if stops:
                break


def lengths(rule: StoppingRule, curves: Curves) -> list[int]:
    """Epochs that each trial trained."""
    trained: dict[str, int] = {}
    for trial, epoch, _, _ in validations(rule, curves):
        trained[trial] = epoch
    return list(trained.values())


def steady(*scores: float) -> Curves:
    return [[score] * EPOCHS for score in scores]


def test_asha_stops_at_a_rung_whoever_is_not_in_the_best_share() -> None:
    assert lengths(rule("asha", grace_epochs=3, reduction_factor=2), steady(0.5, 0.4, 0.6)) == [9, 3, 9]
    # Rungs at 3 and 6: the third falls off after the first of them, the fourth is poor only before it.
    curves = [[0.5] * 9, [0.6] * 9, [0.7] * 3 + [0.1] * 6, [0.1] * 2 + [0.9] * 7]
    assert lengths(rule("asha", grace_epochs=3, reduction_factor=2), curves) == [9, 9, 6, 9]


def test_median_stops_whoever_is_worse_than_half_of_three_others() -> None:
    median = rule("median", grace_epochs=2)
    assert lengths(median, steady(0.5, 0.4, 0.6, 0.45, 0.7)) == [9, 9, 9, 2, 9]


def test_none_and_other_stages_stop_nothing() -> None:
    assert lengths(rule("none"), steady(0.5, 0.0)) == [9, 9]
    assert lengths(build_stopping_rule(GridStage(), epochs=EPOCHS), steady(0.5, 0.0)) == [9, 9]


@pytest.mark.parametrize("scheduler", ["asha", "median"])
def test_nothing_is_stopped_within_grace_or_at_its_last_epoch(scheduler: str) -> None:
    curves = [*steady(0.5, 0.6, 0.7), [0.0] * 7 + [0.9] * 2, [0.9] * 8 + [0.0]]
    assert lengths(rule(scheduler, grace_epochs=8), curves) == [9] * 5


@pytest.mark.parametrize("scheduler", ["asha", "median"])
def test_trial_that_failed_or_scored_nan_leaves_the_others_alone(scheduler: str) -> None:
    failed = [0.65] * 4
    curves = [*steady(0.4, 0.5, 0.6), failed, [math.nan] * 9, *steady(0.7, 0.1)]
    assert lengths(rule(scheduler, grace_epochs=3), curves)[3:] == [4, 9, 9, 3]


@pytest.mark.parametrize("scheduler", ["asha", "median"])
def test_validation_told_again_changes_nothing(scheduler: str) -> None:
    curves = steady(0.3, 0.4, 0.6, 0.2, 0.7, 0.5)
    expected = lengths(rule(scheduler), curves)
    twice = rule(scheduler)
    for trial, epoch, score, stops in validations(twice, curves):
        assert twice.should_stop(trial, epoch, 1.0 - score) is stops
    assert lengths(rule(scheduler), curves) == expected


curves_drawn = st.lists(st.lists(st.floats(0, 1), min_size=EPOCHS, max_size=EPOCHS), min_size=4, max_size=10)


@pytest.mark.parametrize("scheduler", ["asha", "median"])
@settings(deadline=None, max_examples=40)
@given(curves=curves_drawn, where=st.floats(0, 1))
def test_interrupted_anywhere_the_decisions_are_the_same(
    scheduler: str, curves: Curves, where: float
) -> None:
    whole = list(validations(rule(scheduler, reduction_factor=2), curves))
    cut = round(where * len(whole))
    resumed = rule(scheduler, reduction_factor=2)
    replayed = [resumed.should_stop(trial, epoch, score) for trial, epoch, score, _ in whole[:cut]]
    gone_on = [resumed.should_stop(trial, epoch, score) for trial, epoch, score, _ in whole[cut:]]
    assert replayed + gone_on == [stops for _, _, _, stops in whole]


@dataclass(frozen=True)
class RayTrial:
    """The only attribute of a trial that Ray's schedulers read."""

    trial_id: str


class RayRule(StoppingRule):
    """One of Ray's schedulers, called as Tune calls it. Its last validation cannot stop a trial."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler, self._stopped = scheduler, set[str]()
        self._known: set[str] = set()

    def should_stop(self, trial: str, epoch: int, score: float) -> bool:
        told, result = RayTrial(trial), {"epoch": epoch, "score": score}
        if trial not in self._known:
            self._known.add(trial)
            self._scheduler.on_trial_add(None, told)
        if trial in self._stopped:
            return True
        if epoch >= EPOCHS:
            self._scheduler.on_trial_complete(None, told, result)
        elif self._scheduler.on_trial_result(None, told, result) == self._scheduler.STOP:
            self._stopped.add(trial)
        return trial in self._stopped


def decisions_in_turns(rule: StoppingRule, curves: Curves, shift: int) -> list[tuple[int, int, bool]]:
    """Decisions when trials take turns and some skip epochs, and so perhaps a rung."""
    return [
        (epoch, number, rule.should_stop(f"t{number}", epoch, curve[epoch - 1]))
        for epoch in range(1, EPOCHS + 1)
        for number, curve in enumerate(curves)
        if epoch == EPOCHS or (epoch + number) % (1 + shift) == 0
    ]


@settings(deadline=None, max_examples=60)
@given(curves=curves_drawn, grace=st.integers(1, 6), factor=st.integers(2, 4), shift=st.integers(0, 3))
def test_asha_decides_as_the_scheduler_of_ray(curves: Curves, grace: int, factor: int, shift: int) -> None:
    from ray.tune.schedulers import ASHAScheduler

    common = {"time_attr": "epoch", "metric": "score", "mode": "max", "max_t": EPOCHS, "grace_period": grace}
    ours, its = (
        lambda: rule("asha", grace_epochs=grace, reduction_factor=factor),
        lambda: RayRule(ASHAScheduler(**common, reduction_factor=factor, stop_last_trials=False)),
    )
    assert lengths(ours(), curves) == lengths(its(), curves)
    assert decisions_in_turns(ours(), curves, shift) == decisions_in_turns(its(), curves, shift)


@settings(deadline=None, max_examples=60)
@given(curves=curves_drawn, grace=st.integers(1, 6), shift=st.integers(0, 3))
def test_median_decides_as_the_rule_of_ray(curves: Curves, grace: int, shift: int) -> None:
    from ray.tune.schedulers import MedianStoppingRule

    ray = MedianStoppingRule(
        time_attr="epoch", metric="score", mode="max", grace_period=grace, min_time_slice=math.inf
    )
    ours = rule("median", grace_epochs=grace)
    assert decisions_in_turns(ours, curves, shift) == decisions_in_turns(RayRule(ray), curves, shift)


def test_grace_is_a_tenth_of_the_epochs_unless_it_is_given() -> None:
    assert [stage("asha").grace(epochs) for epochs in (1, 12, 1000)] == [1, 2, 100]
    assert stage("asha", grace_epochs=7).grace(12) == 7
    with pytest.raises(ConfigError, match="expected grace_epochs below the 7 epochs of a trial, got 7"):
        stage("asha", grace_epochs=7).grace(7)


def test_median_looks_at_each_trial_once_for_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    means: list[int] = []
    monkeypatch.setattr(
        "hpo.schedule.median.np.mean", lambda scores: means.append(len(scores)) or sum(scores) / len(scores)
    )
    assert lengths(rule("median", grace_epochs=1), steady(*[0.5] * 200)) == [EPOCHS] * 200
    assert 200 * (EPOCHS - 1) <= len(means) <= 200 * EPOCHS


@pytest.mark.parametrize("scheduler", ["asha", "median"])
def test_a_long_journal_is_replayed_in_a_moment(scheduler: str) -> None:
    """Ray's schedulers need the square of the number of trials: 12 s and more for these."""
    replayed = rule(scheduler, grace_epochs=1, reduction_factor=2)
    started = time.process_time()
    lengths(replayed, [[(number * 7919 % 10007) / 10007] * EPOCHS for number in range(10_000)])
    assert time.process_time() - started < 3

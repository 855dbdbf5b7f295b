"""Callers of one array, each in a thread of its own."""

import math
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from waiting import wait_until

from hpo.trial.array import TrialArray
from hpo.trial.run import TrialRun
from hpo.trial.specification import TrialSpec
from model.training.device_state import UTILISATION, LoadMeter
from model.training.outcomes import Validation
from model.training.slot import Slot
from model.training.trainer import TrainingArray

EPOCHS = 3


def company(spec: TrialSpec, tmp_path: Path, count: int) -> list[TrialSpec]:
    """Trials beside each other, of other shapes."""
    return [
        replace(
            spec,
            trial=f"bayes-{index:04d}",
            parameters={"f": 2 + index, "alpha2": 1.0 + index},
            seed=index,
            folder=str(tmp_path / str(index)),
        )
        for index in range(count)
    ]


def ask_all(array: TrialArray, spec: TrialSpec, *, until: int = EPOCHS) -> list[dict[str, Any]]:
    """What one caller hears, up to the validation after epoch ``until``."""
    results: list[dict[str, Any]] = []
    seen = 0
    while seen < until:
        result = array.step(spec.to_json(), seen)
        if "failed" in result:
            return [*results, result]
        seen = result["epoch"]
        results.append(result)
    return results


def scores(results: list[dict[str, Any]]) -> list[float]:
    return [result["score"] for result in results]


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many trials each interval was trained with."""
    sizes: list[int] = []
    advance = TrainingArray.advance

    def note(self: TrainingArray) -> object:
        sizes.append(len(self.slots))
        return advance(self)

    monkeypatch.setattr(TrainingArray, "advance", note)
    return sizes


def test_trials_of_an_array_are_trained_together_and_reach_what_they_reach_alone(
    spec: TrialSpec, tmp_path: Path, noted: list[int]
) -> None:
    tasks = company(spec, tmp_path, 3)
    array = TrialArray(slots=3)
    with ThreadPoolExecutor(3) as callers:
        together = list(callers.map(lambda each: ask_all(array, each), tasks))
    assert noted == [3] * EPOCHS
    for each, results in zip(tasks, together, strict=True):
        alone = replace(each, folder=f"{each.folder}-alone")
        assert scores(results) == scores(ask_all(TrialArray(), alone))
        assert results[-1]["finished"]


def test_trial_joins_a_running_array_in_the_place_of_one_that_was_stopped(
    spec: TrialSpec, tmp_path: Path
) -> None:
    tasks = company(spec, tmp_path, 3)
    array = TrialArray(slots=2)
    with ThreadPoolExecutor(3) as callers:
        staying = callers.submit(ask_all, array, tasks[0])
        ask_all(array, tasks[1], until=1)
        array.leave(tasks[1].trial)  # as the driver says when a scheduler stops it
        late = ask_all(array, tasks[2])
    expected = ask_all(TrialArray(), replace(tasks[2], folder=str(tmp_path / "alone")))
    assert scores(late) == scores(expected)
    assert len(staying.result()) == EPOCHS


def test_array_that_is_not_full_trains_after_a_moment(spec: TrialSpec, noted: list[int]) -> None:
    array = TrialArray(slots=4, start_grace_s=0.2)
    started = time.monotonic()
    array.step(spec.to_json(), 0)
    assert time.monotonic() - started >= 0.2
    assert noted == [1]


def test_array_waits_for_a_trial_whose_proposal_is_being_made(
    spec: TrialSpec, tmp_path: Path, noted: list[int]
) -> None:
    """A proposal takes longer than an array would wait for it."""
    first, second = company(spec, tmp_path, 2)
    array = TrialArray(slots=3, start_grace_s=0.0)
    array.expect("proposal 1")
    with ThreadPoolExecutor(2) as callers:
        early = callers.submit(array.step, first.to_json(), 0)
        wait_until_waiting(array, 1)
        array.expect(second.trial, instead_of="proposal 1")
        late = callers.submit(array.step, second.to_json(), 0)
        assert early.result()["epoch"] == late.result()["epoch"] == 1
    assert noted == [2]


def test_array_continues_without_a_proposal_that_comes_to_nothing(spec: TrialSpec, noted: list[int]) -> None:
    array = TrialArray(slots=2, start_grace_s=0.0)
    array.expect("proposal 1")
    with ThreadPoolExecutor(1) as callers:
        result = callers.submit(array.step, spec.to_json(), 0)
        wait_until_waiting(array, 1)
        assert noted == []
        array.expect_no_longer("proposal 1")
        assert result.result()["epoch"] == 1


def test_array_that_hears_of_a_trial_after_it_came_continues_at_once(
    spec: TrialSpec, tmp_path: Path, noted: list[int]
) -> None:
    """Ray runs the calls of one process in any order."""
    first, second = company(spec, tmp_path, 2)
    array = TrialArray(slots=3, start_grace_s=0.0)
    array.expect("proposal 1")
    with ThreadPoolExecutor(2) as callers:
        results = [callers.submit(array.step, each.to_json(), 0) for each in (first, second)]
        wait_until_waiting(array, 2)
        assert noted == []
        array.expect(second.trial, instead_of="proposal 1")
        assert [result.result(timeout=30)["epoch"] for result in results] == [1, 1]


def test_array_does_not_wait_for_a_proposal_whose_end_it_heard_of_first(spec: TrialSpec) -> None:
    array = TrialArray(slots=2, start_grace_s=0.0)
    array.expect_no_longer("proposal 1")
    array.expect("proposal 1")
    array.expect("bayes-0009", instead_of="proposal 2")
    array.leave("bayes-0009")
    array.expect("proposal 2")
    with ThreadPoolExecutor(1) as callers:
        assert callers.submit(array.step, spec.to_json(), 0).result(timeout=30)["epoch"] == 1


def test_array_does_not_wait_forever_for_a_trial_whose_caller_died(
    spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.trial.array.EXPECTED_S", 0.2)
    array = TrialArray(slots=2, start_grace_s=0.0)
    array.expect("bayes-0002")
    assert array.step(spec.to_json(), 0)["epoch"] == 1


def wait_until_waiting(array: TrialArray, count: int) -> None:
    wait_until(lambda: sum(member.waiting for member in array._members.values()) >= count, timeout_s=60)


def test_caller_that_takes_the_place_of_one_that_died_hears_what_the_other_would_have(
    spec: TrialSpec, tmp_path: Path
) -> None:
    tasks = company(spec, tmp_path, 2)
    array = TrialArray(slots=2)
    with ThreadPoolExecutor(3) as callers:
        lost: Future[dict[str, Any]] = callers.submit(array.step, tasks[0].to_json(), 0)
        again = callers.submit(ask_all, array, tasks[0])
        other = callers.submit(ask_all, array, tasks[1])
    assert len(again.result()) == len(other.result()) == EPOCHS
    assert lost.result()["score"] == again.result()[0]["score"]


class Gate:
    """Holds the training of every interval until it is opened."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.reached, self.opened, self.ended = threading.Event(), threading.Event(), threading.Event()
        advance = TrainingArray.advance

        def hold(array: TrainingArray) -> object:
            self.reached.set()
            assert self.opened.wait(60)
            return advance(array)

        patch.setattr(TrainingArray, "advance", hold)
        patch.setattr("hpo.trial.array._end_process", self.ended.set)


def test_trial_that_leaves_during_the_training_records_nothing_and_its_neighbours_continue(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, (leaving, staying) = Gate(monkeypatch), company(spec, tmp_path, 2)
    array = TrialArray(slots=2)
    with ThreadPoolExecutor(2) as callers:
        lost = callers.submit(array.step, leaving.to_json(), 0)
        kept = callers.submit(ask_all, array, staying)
        assert gate.reached.wait(60)
        array.leave(leaving.trial)
        gate.opened.set()
        assert "removed" in lost.result()["failed"]
    alone = replace(staying, folder=str(tmp_path / "alone"))
    assert scores(kept.result()) == scores(ask_all(TrialArray(), alone))
    assert sorted(file.name for file in Path(leaving.folder).iterdir()) == ["config.json"]
    assert not gate.ended.is_set()


def test_trial_leaves_before_or_after_its_files_are_written_and_not_meanwhile(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study removes them when the trial has left."""
    (leaving, staying), order = company(spec, tmp_path, 2), list[str]()
    array, writes, asked = TrialArray(slots=2), threading.Event(), threading.Event()
    record = TrialRun.record

    def record_slowly(run: TrialRun, validation: Validation) -> None:
        if run.trial == leaving.trial and not writes.is_set():
            writes.set()
            assert asked.wait(60)
            time.sleep(0.2)  # in which the trial would leave
            record(run, validation)
            order.append("written")
        else:
            record(run, validation)

    monkeypatch.setattr(TrialRun, "record", record_slowly)
    with ThreadPoolExecutor(2) as callers:
        for each in (leaving, staying):
            callers.submit(array.step, each.to_json(), 0)
        assert writes.wait(60)
        asked.set()
        array.leave(leaving.trial)
        order.append("left")
    assert order == ["written", "left"]


def test_process_ends_with_the_last_trial_that_it_trains(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training might go on for hours, and the next trial waits for it."""
    gate, (first, second) = Gate(monkeypatch), company(spec, tmp_path, 2)
    array = TrialArray(slots=3, start_grace_s=0.0)
    array.expect(second.trial)
    with ThreadPoolExecutor(2) as callers:
        for each in (first, second):
            callers.submit(array.step, each.to_json(), 0)
        assert gate.reached.wait(60)
        array.leave(first.trial)
        assert not gate.ended.is_set()
        array.leave(second.trial)
        assert gate.ended.is_set()
        gate.opened.set()


def test_caller_hears_of_a_validation_when_those_of_all_are_on_the_disk(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study removes the checkpoints of a trial that has ended, and other callers wake this one."""
    first, second = company(spec, tmp_path, 2)
    reached, opened = threading.Event(), threading.Event()
    save = TrialRun._save

    def hold(run: TrialRun) -> None:
        if len(run._history) == 1:
            reached.set()
            assert opened.wait(60)
        save(run)

    monkeypatch.setattr(TrialRun, "_save", hold)
    array = TrialArray(slots=2)
    with ThreadPoolExecutor(2) as callers:
        heard = [callers.submit(array.step, each.to_json(), 0) for each in (first, second)]
        assert reached.wait(60)
        with array._changed:
            array._note_change()
        assert not wait(heard, timeout=0.2).done
        opened.set()
        assert [each.result()["epoch"] for each in heard] == [1, 1]


def test_trial_that_diverges_fails_alone(spec: TrialSpec, tmp_path: Path) -> None:
    tasks = company(spec, tmp_path, 2)
    exploding = replace(tasks[0], study={**spec.study, "training": {**spec.study["training"]}})
    exploding.study["training"]["learning_rate"] = 1e38
    healthy = TrialArray(slots=1)
    (failure,) = ask_all(healthy, exploding)
    assert failure["failed"].startswith("DivergedError") and math.isnan(failure["score"])
    assert "DivergedError" in (Path(exploding.folder) / "error.txt").read_text()
    assert len(ask_all(healthy, tasks[1])) == EPOCHS


def test_trial_whose_settings_are_wrong_fails_and_the_array_goes_on(spec: TrialSpec, tmp_path: Path) -> None:
    tasks = company(spec, tmp_path, 2)
    array = TrialArray(slots=2, start_grace_s=0.1)
    (failure,) = ask_all(array, replace(tasks[0], parameters={"f": -1}))
    assert "f" in failure["failed"]
    assert len(ask_all(array, tasks[1])) == EPOCHS


def test_trial_on_other_data_is_refused_while_others_train(spec: TrialSpec, tmp_path: Path) -> None:
    tasks = company(spec, tmp_path, 2)
    array = TrialArray(slots=2, start_grace_s=0.0)
    array.step(tasks[0].to_json(), 0)
    other = replace(tasks[1], precision="bfloat16")
    assert "other data or training settings" in array.step(other.to_json(), 0)["failed"]
    array.leave(tasks[0].trial)
    assert array.step(other.to_json(), 0)["epoch"] == 1


def test_fault_in_training_fails_all_that_were_trained(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(self: TrainingArray) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(TrainingArray, "advance", fault)
    array = TrialArray(slots=2)
    with ThreadPoolExecutor(2) as callers:
        results = list(callers.map(lambda each: ask_all(array, each), company(spec, tmp_path, 2)))
    assert [result[0]["failed"] for result in results] == 2 * ["RuntimeError: no such thing"]


def test_trial_that_cannot_be_saved_fails_alone(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the user's code says nothing about its neighbours, whose validation is on the disk."""
    lost, kept = company(spec, tmp_path, 2)
    state = Slot.state

    def fault(slot: Slot) -> dict[str, Any]:
        if slot.config.seed == lost.seed:
            raise KeyError("momentum")
        return state(slot)

    monkeypatch.setattr(Slot, "state", fault)
    array = TrialArray(slots=2)
    with ThreadPoolExecutor(2) as callers:
        results = list(callers.map(lambda each: ask_all(array, each), (lost, kept)))
    assert results[0][0]["failed"] == "KeyError: 'momentum'"
    assert "momentum" in (Path(lost.folder) / "error.txt").read_text()
    assert results[1][-1]["finished"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("no Spiel_M\udcfcnchen.npy\x1b[2J", r"no Spiel_M\udcfcnchen.npy\x1b[2J"),
        (5000 * "n", f"{1988 * 'n'}... (whole text in error.txt)"),
    ],
)
def test_reason_of_a_failure_is_text_of_limited_length(
    spec: TrialSpec, monkeypatch: pytest.MonkeyPatch, message: str, reason: str
) -> None:
    monkeypatch.setattr(TrainingArray, "advance", Mock(side_effect=ValueError(message)))
    (failure,) = ask_all(TrialArray(slots=1), spec)
    assert failure["failed"] == f"ValueError: {reason}"
    assert message.encode(errors="backslashreplace") in (Path(spec.folder) / "error.txt").read_bytes()


def test_shrinking_of_an_array_is_told_once(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    work = TrainingArray._train_part

    def train(self: TrainingArray, slots: list[Any], epochs: int) -> Any:
        if len(slots) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return work(self, slots, epochs)

    monkeypatch.setattr(TrainingArray, "_train_part", train)
    array = TrialArray(slots=2)
    with ThreadPoolExecutor(2) as callers:
        together = list(callers.map(lambda each: ask_all(array, each), company(spec, tmp_path, 2)))
    notes = [note for results in together for result in results for note in result["notes"]]
    assert len(notes) == 1 and "1 at once" in notes[0]
    assert all(results[-1]["finished"] for results in together)


def test_validations_carry_the_load_of_the_device_during_training(
    spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LoadMeter, "load", {UTILISATION: 87.0})
    (result,) = ask_all(TrialArray(), spec, until=1)
    assert dict(result["metrics"])[UTILISATION] == 87.0

"""A GPU that fails in the middle of training: the process ends, and the next one finds the trial at fault."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hpo.trial import array as array_module
from hpo.trial.array import TrialArray
from hpo.trial.device_fault import DeviceFault
from hpo.trial.specification import TrialSpec
from model.training.outcomes import Outcome
from model.training.slot import Slot
from model.training.trainer import TrainingArray

ILLEGAL = "CUDA error: an illegal memory access was encountered"
EPOCHS = 3
BAD = 1
"""Seed of the trial that makes the device fail."""


class ProcessEnded(BaseException):
    """What a caller sees of an array whose process has ended."""


class Machine:
    """Ray's part: starts the array's process again when it has ended, for callers that try again."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *, slots: int, bad: Callable[[list[Slot]], bool]
    ) -> None:
        self._slots, self._dead = slots, False
        self.array = TrialArray(slots=slots, start_grace_s=0.3)
        self.processes = 1
        self.trained: list[list[int]] = []
        """Seeds of the trials of every interval."""
        advance = TrainingArray.advance

        def train(array: TrainingArray) -> list[Outcome[Slot]]:
            self.trained.append(sorted(slot.config.seed for slot in array.slots))
            if bad(array.slots):
                self._dead = True
                raise RuntimeError(f"{ILLEGAL}\nCompile with TORCH_USE_CUDA_DSA")
            return advance(array)

        monkeypatch.setattr(TrainingArray, "advance", train)
        monkeypatch.setattr(array_module, "still_works", lambda device: not self._dead)
        monkeypatch.setattr(array_module, "_end_process", self._end)

    def _end(self) -> None:
        ended, self.array = self.array, TrialArray(slots=self._slots, start_grace_s=0.3)
        self._dead = False
        self.processes += 1
        with ended._changed:
            for member in ended._members.values():
                member.failure = ProcessEnded()  # type: ignore[assignment]
            ended._changed.notify_all()
        raise ProcessEnded

    def ask_all(self, spec: TrialSpec) -> list[dict[str, Any]]:
        """What the caller of a trial hears until its end."""
        results: list[dict[str, Any]] = []
        while not results or not results[-1]["ended"]:
            seen = results[-1]["epoch"] if results else 0
            try:
                results.append(self.array.step(spec.to_json(), seen))
            except ProcessEnded:
                continue
        return results

    def ask_together(self, specs: list[TrialSpec]) -> list[list[dict[str, Any]]]:
        with ThreadPoolExecutor(len(specs)) as callers:
            return list(callers.map(self.ask_all, specs))


def company(spec: TrialSpec, tmp_path: Path, count: int) -> list[TrialSpec]:
    return [
        replace(spec, trial=f"bayes-{seed:04d}", seed=seed, folder=str(tmp_path / str(seed)))
        for seed in range(count)
    ]


def test_trial_that_makes_the_device_fail_twice_fails_and_the_others_finish(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(
        monkeypatch,
        slots=3,
        bad=lambda slots: any(slot.config.seed == BAD and slot.epoch == 1 for slot in slots),
    )
    results = machine.ask_together(company(spec, tmp_path, 3))
    for seed, heard in enumerate(results):
        if seed == BAD:
            failed = "FailedError: the device failed 2 times while it trained this trial: RuntimeError: "
            assert heard[-1]["failed"] == failed + ILLEGAL
        else:
            assert heard[-1]["finished"] and heard[-1]["epoch"] == EPOCHS
    assert machine.processes == 3
    with_bad = [interval for interval in machine.trained if BAD in interval]
    assert with_bad[-1] == [BAD], "found by training alone"
    assert all(BAD not in interval for interval in machine.trained[machine.trained.index([BAD]) + 1 :])
    notes = [note for heard in results for result in heard for note in result.get("notes", [])]
    assert len(notes) >= 1 and all(ILLEGAL in note and "checkpoints" in note for note in notes)


def test_device_that_fails_once_costs_no_trial(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[bool] = []
    machine = Machine(
        monkeypatch, slots=2, bad=lambda slots: len(slots) == 2 and not failed and not failed.append(True)
    )
    results = machine.ask_together(company(spec, tmp_path, 2))
    assert all(heard[-1]["finished"] for heard in results) and machine.processes == 2
    assert not list(tmp_path.glob("*/device-fault.json"))


def test_error_on_a_device_that_works_ends_no_process(
    spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch, slots=1, bad=lambda slots: True)
    monkeypatch.setattr(array_module, "still_works", lambda device: True)
    (failure,) = machine.ask_all(spec)
    assert failure["failed"] == f"RuntimeError: {ILLEGAL}" and machine.processes == 1


def test_device_is_not_asked_while_other_trials_train(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question to the device breaks a recording that another thread makes."""
    asked: list[torch.device] = []
    monkeypatch.setattr(array_module, "still_works", lambda device: not asked.append(device))
    array = TrialArray(slots=2, start_grace_s=0.0)
    array.step(spec.to_json(), 0)
    wrong = replace(spec, trial="bayes-0002", parameters={"f": -1}, folder=str(tmp_path / "wrong"))
    assert "f" in array.step(wrong.to_json(), 0)["failed"]
    assert asked == []


def test_device_that_fails_when_it_gets_the_data_ends_the_process(
    spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **options: Any) -> None:
        raise RuntimeError(ILLEGAL)

    machine = Machine(monkeypatch, slots=1, bad=lambda slots: False)
    monkeypatch.setattr(TrainingArray, "__init__", broken)
    monkeypatch.setattr(array_module, "still_works", lambda device: False)
    (failure,) = machine.ask_all(spec)
    assert "the device failed 2 times" in failure["failed"] and machine.processes == 3


def test_trial_that_only_shared_the_process_is_not_counted(tmp_path: Path) -> None:
    DeviceFault.add(tmp_path / "beside", ILLEGAL, in_training=False)
    DeviceFault.add(tmp_path / "trained", ILLEGAL, in_training=True)
    beside, trained = DeviceFault.read(tmp_path / "beside"), DeviceFault.read(tmp_path / "trained")
    assert beside and trained and (beside.count, trained.count) == (0, 1)
    assert not beside.is_final and not trained.is_final
    DeviceFault.add(tmp_path / "trained", ILLEGAL, in_training=True)
    again = DeviceFault.read(tmp_path / "trained")
    assert again and again.is_final


@pytest.mark.parametrize("content", ["", "[]", '{"count": 1}', "{"])
def test_damaged_record_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "device-fault.json").write_text(content)
    assert DeviceFault.read(tmp_path) is None


FRAGILE = '''
"""A task whose device fails when it trains a trial with alpha2 = 13."""
from typing import Literal

import torch

from hpo.tasks.calf.study_file import CalfStudy
from hpo.tasks.calf.task import CalfTask


class FragileStudy(CalfStudy):
    task: Literal["fragile"]


class FragileArray:
    def __init__(self, inner):
        self.inner, self.slots = inner, []

    def advance(self):
        if any(slot.config.loss.alpha2 == 13.0 for slot in self.slots):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        self.inner.slots = self.slots
        return self.inner.advance()


class FragileTask(CalfTask):
    name = "fragile"
    study_file = FragileStudy

    def array(self, shared, *, device, **options):
        assert device.type == "cuda"
        return FragileArray(super().array(shared, device=torch.device("cpu"), **options))


TASK = FragileTask()
'''
CALLERS = """
import json, sys
from concurrent.futures import ThreadPoolExecutor

from hpo.schedule.array_pool import ArrayPool
from hpo.schedule.local_ray import ray_session


def ask_all(number):
    from hpo.trial.trainable import TrialTrainable

    caller = TrialTrainable.__new__(TrialTrainable)
    caller.setup({"spec": specs[number], "array": names[number], "threads": 1})
    while not (result := caller.step())["ended"]:
        pass
    return result.get("failed") or result["epoch"]


specs = json.loads(sys.argv[1])
with ray_session(cpus=1, gpus=0):
    pool = ArrayPool(arrays=1, slots=len(specs), threads=1, gpus=0)
    names = [pool.assign(spec["trial"], pool.announce()) for spec in specs]
    with ThreadPoolExecutor(len(specs)) as callers:
        print(json.dumps(list(callers.map(ask_all, range(len(specs))))))
    pool.close()
"""


@pytest.mark.faults
@pytest.mark.skipif(torch.cuda.is_available(), reason="stands in for a GPU that no longer works")
def test_ray_starts_a_new_process_for_an_array_whose_device_failed(spec: TrialSpec, tmp_path: Path) -> None:
    (tmp_path / "fragile.py").write_text(FRAGILE)
    specs = company(replace(spec, study={**spec.study, "task": "fragile"}, device="cuda"), tmp_path, 3)
    specs[BAD] = replace(specs[BAD], parameters={**spec.parameters, "alpha2": 13.0})
    repository = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", CALLERS, json.dumps([asdict(each) for each in specs])],
        env={**os.environ, "PYTHONPATH": f"{repository}:{tmp_path}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, bad, last = json.loads(done.stdout.splitlines()[-1])
    assert (first, last) == (EPOCHS, EPOCHS)
    assert "failed 2 times" in bad and ILLEGAL in bad

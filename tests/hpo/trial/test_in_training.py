"""A GPU that fails, or a process that dies in training: the processes after it find the trial at fault."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
import torch
from ray.exceptions import RayActorError
from waiting import wait_until

from hpo.tasks.base.registry import AnyTask, task_named
from hpo.trial import array as array_module
from hpo.trial.array import TrialArray
from hpo.trial.files import IN_TRAINING
from hpo.trial.run import TrialRun
from hpo.trial.specification import TrialSpec
from hpo.trial.trainable import DEATHS, TrialTrainable
from model.training.outcomes import Outcome
from model.training.slot import Slot
from model.training.trainer import TrainingArray

ILLEGAL = "CUDA error: an illegal memory access was encountered"
EPOCHS = 3
BAD = 1
"""Seed of the trial that makes the device fail."""


class ProcessEnded(BaseException):
    """The end of an array's process for its threads."""


def answer(call: Callable[[], Any], timeout: float | None = None) -> Any:
    """What Ray gives a caller: a result, or word that the process has ended."""
    try:
        return call()
    except ProcessEnded:
        raise RayActorError from None


class Machine:
    """Ray's part: starts the array's process again when it has ended, for callers that try again."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        slots: int,
        bad: Callable[[list[Slot]], bool],
        kills: bool = False,
    ) -> None:
        """``bad`` says which trials make the device fail; with ``kills`` they kill the process."""
        self._slots, self._dead = slots, False
        self.array = TrialArray(slots=slots, start_grace_s=0.3)
        self.processes = 1
        self.trained: list[list[int]] = []
        """Seeds of the trials of every interval."""
        advance = TrainingArray.advance

        def train(array: TrainingArray) -> list[Outcome[Slot]]:
            self.trained.append(sorted(slot.config.seed for slot in array.slots))
            if bad(array.slots):
                if kills:
                    self.end()
                self._dead = True
                raise RuntimeError(f"{ILLEGAL}\nCompile with TORCH_USE_CUDA_DSA")
            return advance(array)

        monkeypatch.setattr(TrainingArray, "advance", train)
        monkeypatch.setattr(array_module, "still_works", lambda device: not self._dead)
        monkeypatch.setattr(array_module, "_end_process", self.end)
        monkeypatch.setattr(ray, "get_actor", lambda name: self)
        monkeypatch.setattr(ray, "get", answer)

    def end(self) -> None:
        ended, self.array = self.array, TrialArray(slots=self._slots, start_grace_s=0.3)
        self._dead = False
        self.processes += 1
        with ended._changed:
            for member in ended._members.values():
                member.failure = ProcessEnded()  # type: ignore[assignment]
            ended._changed.notify_all()
        raise ProcessEnded

    @property
    def step(self) -> Any:
        """A call of the actor."""
        return SimpleNamespace(remote=lambda *args: lambda: self.array.step(*args))

    @property
    def answers(self) -> Any:
        """A call that only asks whether the actor answers."""
        return SimpleNamespace(remote=lambda: lambda: None)

    def ask_all(self, spec: TrialSpec) -> list[dict[str, Any]]:
        """What the caller of a trial hears until its end."""
        caller = TrialTrainable.__new__(TrialTrainable)
        caller.setup({"spec": spec.to_json(), "array": "array-0", "other_arrays": [], "threads": 1})
        results: list[dict[str, Any]] = []
        while not results or not results[-1]["ended"]:
            results.append(caller.step())
        return results

    def ask_together(self, specs: list[TrialSpec]) -> list[list[dict[str, Any]]]:
        with ThreadPoolExecutor(len(specs)) as callers:
            return list(callers.map(self.ask_all, specs))


def company(spec: TrialSpec, tmp_path: Path, count: int) -> list[TrialSpec]:
    return [
        replace(spec, trial=f"bayes-{seed:04d}", seed=seed, folder=str(tmp_path / str(seed)))
        for seed in range(count)
    ]


def is_bad(slots: list[Slot]) -> bool:
    return any(slot.config.seed == BAD and slot.epoch == 1 for slot in slots)


DIED = f"the process of its array died {DEATHS} times while it trained the trial alone"


@pytest.mark.parametrize(
    ("kills", "why", "note"),
    [
        (False, f"{DIED}: the device failed (RuntimeError: {ILLEGAL})", ILLEGAL),
        (True, DIED, "the process of an array died"),
    ],
)
def test_trial_that_ends_its_process_fails_and_the_others_finish(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: bool, why: str, note: str
) -> None:
    machine = Machine(monkeypatch, slots=3, bad=is_bad, kills=kills)
    results = machine.ask_together(company(spec, tmp_path, 3))
    for seed, heard in enumerate(results):
        if seed == BAD:
            assert heard[-1]["failed"] == why
        else:
            assert heard[-1]["finished"] and heard[-1]["epoch"] == EPOCHS
    assert machine.processes == 1 + 1 + DEATHS
    first = next(number for number, interval in enumerate(machine.trained) if interval == [BAD])
    alone = [interval for interval in machine.trained[first:] if BAD in interval]
    assert alone == DEATHS * [[BAD]], "found by training alone"
    notes = [note for heard in results for result in heard for note in result.get("notes", [])]
    assert len(notes) >= 1 and all(note in each and "checkpoints" in each for each in notes)
    assert not list(tmp_path.glob(f"*/{IN_TRAINING}"))


@pytest.mark.parametrize("kills", [False, True])
def test_process_that_ends_once_costs_no_trial(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: bool
) -> None:
    failed: list[bool] = []
    machine = Machine(
        monkeypatch,
        slots=2,
        bad=lambda slots: len(slots) == 2 and not failed and not failed.append(True),
        kills=kills,
    )
    results = machine.ask_together(company(spec, tmp_path, 2))
    assert all(heard[-1]["finished"] for heard in results) and machine.processes == 2
    assert machine.trained[1:3] in ([[0], [1]], [[1], [0]]) and machine.trained[3] == [0, 1]
    assert not list(tmp_path.glob(f"*/{IN_TRAINING}"))


def test_trial_whose_opening_kills_the_process_fails_and_the_others_finish(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its network may need more memory than the machine has."""
    machine = Machine(monkeypatch, slots=2, bad=lambda slots: False)
    start = TrialRun.__init__

    def open_trial(run: TrialRun, spec: TrialSpec, *shape: Any) -> None:
        if spec.seed == BAD:
            machine.end()
        start(run, spec, *shape)

    monkeypatch.setattr(TrialRun, "__init__", open_trial)
    good, bad = machine.ask_together(company(spec, tmp_path, 2))
    assert bad[-1]["failed"] == DIED and good[-1]["finished"]


def test_trial_whose_task_kills_the_process_when_it_is_imported_fails(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch, slots=2, bad=lambda slots: False)
    found = task_named

    def import_task(name: str) -> AnyTask:
        if name == "deadly":
            machine.end()
        return found(name)

    monkeypatch.setattr(array_module, "task_named", import_task)
    good, bad = company(spec, tmp_path, 2)
    bad = replace(bad, study={**bad.study, "task": "deadly"})
    heard = machine.ask_together([good, bad])
    assert heard[0][-1]["finished"] and heard[1][-1]["failed"] == DIED


def test_what_a_killed_session_was_training_is_trained_together_in_the_next(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = company(spec, tmp_path, 2)
    for trial in trials:
        Path(trial.folder).mkdir()
        (Path(trial.folder) / IN_TRAINING).touch()
    machine = Machine(monkeypatch, slots=2, bad=lambda slots: False)
    assert all(heard[-1]["finished"] for heard in machine.ask_together(trials))
    assert machine.trained == EPOCHS * [[0, 1]]


def test_no_trial_is_opened_while_a_suspected_one_trains(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspected, late, removed = company(spec, tmp_path, 3)
    reached, opened = threading.Event(), threading.Event()

    def hold(slots: list[Slot]) -> bool:
        reached.set()
        assert opened.wait(60)
        return False

    array = Machine(monkeypatch, slots=3, bad=hold).array
    with ThreadPoolExecutor(3) as callers:
        first = callers.submit(array.step, suspected.to_json(), 0, "")
        assert reached.wait(60)
        others = [callers.submit(array.step, each.to_json(), 0) for each in (late, removed)]
        wait_until(lambda: len(array._changed._waiters) == 2)  # type: ignore[attr-defined]
        assert not Path(late.folder).exists()
        array.leave(removed.trial)
        opened.set()
        assert first.result()["epoch"] == 1
        array.leave(suspected.trial)
        assert others[0].result()["epoch"] == 1 and "left" in others[1].result()["failed"]


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
    assert failure["failed"] == f"{DIED}: the device failed (RuntimeError: {ILLEGAL})"
    assert machine.processes == 1 + 1 + DEATHS


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
import json, sys, time
from concurrent.futures import ThreadPoolExecutor

from hpo.schedule.array_pool import ArrayPool
from hpo.schedule.local_ray import ray_session


def ask_all(number):
    from hpo.trial.trainable import TrialTrainable

    caller = TrialTrainable.__new__(TrialTrainable)
    caller.setup({"spec": specs[number], "array": names[number], "other_arrays": [], "threads": 1})
    while not (result := caller.step())["ended"]:
        pass
    return result.get("failed") or result["epoch"]


def announced():
    while (ticket := pool.announce()) is None:
        time.sleep(0.1)
    return ticket


specs = json.loads(sys.argv[1])
with ray_session(cpus=1, gpus=0):
    pool = ArrayPool(arrays=1, slots=len(specs), threads=1, gpus=0)
    names = [pool.assign(spec["trial"], announced()) for spec in specs]
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
    assert f"died {DEATHS} times" in bad and ILLEGAL in bad

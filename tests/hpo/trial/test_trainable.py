"""A process that Tune reuses: a trial must not feel the one before."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import GetTimeoutError, RayActorError

from hpo.trial.files import CHECKPOINT, IN_TRAINING
from hpo.trial.specification import TrialSpec
from hpo.trial.trainable import DEATHS, TrialTrainable


def process() -> TrialTrainable:
    # Without Tune's own start, which makes folders in the user's home.
    return TrialTrainable.__new__(TrialTrainable)


def config(spec: TrialSpec) -> dict[str, Any]:
    return {"spec": spec.to_json(), "threads": 1, "array": None, "other_arrays": []}


def numbers(result: dict[str, Any]) -> dict[str, Any]:
    metrics = {name: value for name, value in result["metrics"] if name != "chunks_per_s"}
    return {**result, "metrics": metrics, "train_s": 0.0}


def test_trial_in_the_process_of_a_stopped_one_is_as_in_a_fresh_process(
    spec: TrialSpec, tmp_path: Path
) -> None:
    other = replace(spec, trial="bayes-0002", parameters={"f": 3}, seed=9, folder=str(tmp_path / "other"))
    reused = process()
    reused.setup(config(other))
    assert not reused.step()["finished"]  # stopped here, in the middle
    assert reused.reset_config(config(spec))
    given = [numbers(reused.step()) for _ in range(3)]

    fresh = process()
    fresh.setup(config(replace(spec, folder=str(tmp_path / "fresh"))))
    assert given == [numbers(fresh.step()) for _ in range(3)]
    assert [result["ended"] for result in given] == [False, False, True]


def test_process_that_has_imported_other_code_says_so_and_trains_nothing(spec: TrialSpec) -> None:
    other = process()
    other.setup(config(replace(spec, code="the digest of other code")))
    result = other.step()
    assert "changed" in result and result["ended"]
    assert not Path(spec.folder, CHECKPOINT).exists()


class DyingArray:
    """An actor whose process dies in every call, in some of them while it trains the trial."""

    def __init__(self, folder: Path, trains: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
        self.deaths: list[str | None] = []
        """What the caller said of earlier deaths in every call."""
        self.answers = self.step = SimpleNamespace(remote=lambda *args: args)
        folder.mkdir()
        monkeypatch.setattr(ray, "get_actor", lambda name: self)

        def get(call: tuple[Any, ...], timeout: float | None = None) -> None:
            if not call:  # whether it answers from a new process
                return
            self.deaths.append(call[2])
            if trains.pop(0):
                (folder / IN_TRAINING).write_text("no memory")
            raise RayActorError

        monkeypatch.setattr(ray, "get", get)


def test_death_of_the_array_counts_when_it_trained_the_trial_alone(
    spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    trains = [False, False, False, True, False, *DEATHS * [True]]
    array = DyingArray(Path(spec.folder), trains, monkeypatch)
    caller = process()
    caller.setup({**config(spec), "array": "array-0"})
    died = f"the process of its array died {DEATHS} times while it trained the trial alone: no memory"
    assert caller.step()["failed"] == died
    assert array.deaths == [None, None, None, None, *(1 + DEATHS) * ["no memory"]]


def test_trial_of_an_array_that_does_not_start_again_is_lost_and_not_failed(
    spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    DyingArray(Path(spec.folder), [False], monkeypatch)
    monkeypatch.setattr("hpo.trial.trainable.RESTART_S", 0.0)
    caller = process()
    caller.setup({**config(spec), "array": "array-0"})
    result = caller.step()
    assert "did not start again in 0 s" in result["lost"] and "failed" not in result


class LostArray:
    """One of two actors: the first has no place to start again, the second trains."""

    def __init__(self, name: str) -> None:
        self.step = SimpleNamespace(remote=lambda *args: (name, {"epoch": 1, "ended": False}))
        self.answers = SimpleNamespace(remote=lambda: (name, None))


def test_trial_moves_from_an_array_that_is_lost_to_one_that_answers(
    spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(call: tuple[str, Any], timeout: float | None = None) -> Any:
        if call[0] in lost:
            raise RayActorError
        if call[0] == "never started":
            raise GetTimeoutError
        return call[1]

    lost = {"first"}
    monkeypatch.setattr(ray, "get_actor", LostArray)
    monkeypatch.setattr(ray, "get", get)
    monkeypatch.setattr("hpo.trial.trainable.RESTART_S", 0.0)
    caller = process()
    caller.setup({**config(spec), "array": "first", "other_arrays": ["never started", "second"]})
    assert caller.step()["moved"] == "second"
    assert caller.step() == {"epoch": 1, "ended": False}
    lost = {"second"}  # its own has a place again
    assert caller.step()["moved"] == "first"


def test_process_of_its_own_says_why_the_one_before_died(spec: TrialSpec) -> None:
    Path(spec.folder).mkdir()
    (Path(spec.folder) / IN_TRAINING).write_text("the device failed")
    caller = process()
    caller.setup(config(spec))
    assert caller.step()["notes"] == ["the device failed: the trial continues from its checkpoint"]


def test_process_of_its_own_leaves_it_to_the_scheduler_to_tell_of_a_death_without_a_reason(
    spec: TrialSpec,
) -> None:
    Path(spec.folder).mkdir()
    (Path(spec.folder) / IN_TRAINING).touch()
    caller = process()
    caller.setup(config(spec))
    assert caller.step()["notes"] == []


def test_process_that_only_calls_an_array_loads_no_pytorch() -> None:
    """There is one for each of 64 trials, and PyTorch takes 0.2 GB and some seconds in each."""
    loaded = "import sys, hpo.trial.trainable, hpo.trial.array_actor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0

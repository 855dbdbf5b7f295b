"""A process that Tune reuses: a trial must not feel the one before."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import RayActorError

from hpo.trial.device_fault import DeviceFault
from hpo.trial.specification import TrialSpec
from hpo.trial.trainable import DEATHS, TrialTrainable


def process() -> TrialTrainable:
    # Without Tune's own start, which makes folders in the user's home.
    return TrialTrainable.__new__(TrialTrainable)


def config(spec: TrialSpec) -> dict[str, Any]:
    return {"spec": spec.to_json(), "threads": 1, "array": None}


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


class DyingArray:
    """An actor whose process dies in every call; before some of them, its device has failed."""

    def __init__(self, folder: Path, device_faults: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.leave = self.step = SimpleNamespace(remote=lambda *args: args)
        monkeypatch.setattr(ray, "get_actor", lambda name: self)

        def get(call: tuple[Any, ...]) -> None:
            if len(call) == 1:  # whether it answers from a new process
                return
            self.calls += 1
            if self.calls <= device_faults:
                DeviceFault.add(folder, "CUDA error", in_training=False)
            raise RayActorError

        monkeypatch.setattr(ray, "get", get)


@pytest.mark.parametrize("device_faults", [0, 1, 5])
def test_death_of_the_array_counts_unless_its_device_has_just_failed(
    spec: TrialSpec, monkeypatch: pytest.MonkeyPatch, device_faults: int
) -> None:
    array = DyingArray(Path(spec.folder), device_faults, monkeypatch)
    caller = process()
    caller.setup({**config(spec), "array": "array-0"})
    assert caller.step()["failed"] == f"the process of the trial's array died {DEATHS} times"
    assert array.calls == DEATHS + device_faults


def test_process_that_only_calls_an_array_loads_no_pytorch() -> None:
    """There is one for each of 64 trials, and PyTorch takes 0.2 GB and some seconds in each."""
    loaded = "import sys, hpo.trial.trainable, hpo.trial.array_actor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0

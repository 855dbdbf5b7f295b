"""Measurements in a process that ends, with a Ray that believes in a GPU."""

import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from hpo.schedule import gpus as gpus_module
from hpo.schedule.gpus import TrainingGpus
from model.errors import ConfigError, UserError


def test_gpus_of_a_cluster_are_counted_where_trials_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's machine may have none."""
    asked: list[Any] = []

    @contextmanager
    def connected(address: str, task: str) -> Any:
        asked.append((address, task))
        yield

    monkeypatch.setattr(gpus_module, "connected", connected)
    monkeypatch.setattr(gpus_module, "gpus_of_nodes", lambda: [0, 4, 2])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    cluster = TrainingGpus("head:6379", "calf")
    assert (cluster.count, cluster.count) == (6, 6) and asked == [("head:6379", "calf")]
    assert TrainingGpus(None, "calf").count == 1


def test_cluster_on_which_a_study_runs_is_not_connected_to_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("Ray would be started twice")

    monkeypatch.setattr(gpus_module, "connected", refuse)
    monkeypatch.setattr("ray.is_initialized", lambda: True)
    monkeypatch.setattr(gpus_module, "gpus_of_nodes", lambda: [4])
    assert TrainingGpus("head:6379", "calf").count == 4


def process_and_gpu() -> tuple[int, str]:
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES", "")


def refuse() -> None:
    raise ConfigError("the data cannot be measured")


def die() -> None:
    os._exit(1)


def rest() -> None:
    signal.pause()


@pytest.mark.slow
def test_measurement_has_a_gpu_and_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    # A process of Ray that imports this module does not find it.
    import ray
    from waiting import wait_until

    from hpo.schedule.local_ray import ray_session

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    gpus = TrainingGpus(None, "calf")
    with ray_session(cpus=1, gpus=1):
        process, visible = gpus.measure(process_and_gpu)
        assert process != os.getpid() and visible == "0"
        wait_until(lambda: not Path(f"/proc/{process}").exists(), timeout_s=60)
        with pytest.raises(ConfigError, match="the data cannot be measured"):
            gpus.measure(refuse)
        with pytest.raises(UserError, match="a measurement on the GPU failed"):
            gpus.measure(die)
        monkeypatch.setattr(gpus_module, "WAIT_S", 0.5)
        ray.remote(num_gpus=1, num_cpus=1)(rest).remote()
        wait_until(lambda: ray.available_resources().get("GPU", 0.0) == 0.0)
        with pytest.raises(UserError, match="no GPU was free"):
            gpus.measure(process_and_gpu)

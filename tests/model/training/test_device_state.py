import threading
from types import SimpleNamespace

import pytest
import torch

from model.training import device_state
from model.training.device_state import LoadMeter, describe_device, still_works

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_device_fails_when_it_no_longer_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(device: object) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(torch.cuda, "synchronize", fail)
    assert still_works(CPU) and not still_works(torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    assert still_works(torch.device("cuda"))


def test_gpu_is_described_by_name_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimpleNamespace(name="NVIDIA H100 80GB HBM3", total_memory=84_900_000_000)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    assert describe_device(GPU) == "NVIDIA H100 80GB HBM3, 84.9 GB"
    assert describe_device(CPU) == ""


def test_load_of_a_gpu_has_mlflow_s_names_and_is_measured_during_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy, sampled = iter([80, 90, 100]), threading.Event()

    def utilisation(device: torch.device) -> int:
        value = next(busy)
        if value == 100:
            sampled.set()
        return value

    peak = {GPU: 70_000_000_000}  # of earlier trials of the process
    monkeypatch.setattr(device_state, "SAMPLE_S", 0.001)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: peak.update({device: 0}))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", peak.__getitem__)
    monkeypatch.setattr(torch.cuda, "utilization", utilisation)
    with LoadMeter(GPU) as meter:
        peak[GPU] = max(peak[GPU], 3_900_000_000)
        assert sampled.wait(60)
    assert meter.load == {
        "system/gpu_0_memory_usage_megabytes": 3900.0,
        "system/gpu_0_utilization_percentage": 90.0,
    }


def test_short_work_is_sampled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "utilization", lambda device: 42)
    with LoadMeter(GPU) as meter:
        pass
    assert meter.load[device_state.UTILISATION] == 42.0


def test_load_lacks_what_cannot_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(device: torch.device) -> int:
        raise ModuleNotFoundError("nvidia-ml-py is not installed")

    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 1_000_000)
    monkeypatch.setattr(torch.cuda, "utilization", missing)
    with LoadMeter(GPU) as meter:
        pass
    assert meter.load == {device_state.MEMORY: 1.0}
    with LoadMeter(CPU) as meter:
        pass
    assert meter.load == {}

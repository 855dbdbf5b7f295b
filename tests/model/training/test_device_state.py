from types import SimpleNamespace
from typing import Any

import pytest
import torch

from model.training.device_state import describe_device, device_load, ran_out_of_memory, still_works

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_lack_of_memory_is_found_among_the_causes_of_an_error() -> None:
    try:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        except torch.OutOfMemoryError:
            raise torch.AcceleratorError("the capture is invalid")  # noqa: B904 - as PyTorch raises it
    except RuntimeError as error:
        assert ran_out_of_memory(error)
    assert not ran_out_of_memory(RuntimeError("CUDA out of memory"))


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


def test_load_of_a_gpu_has_mlflow_s_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def utilisation(device: Any) -> int:
        if not installed:
            raise ModuleNotFoundError("nvidia-ml-py is not installed")
        return 87

    installed = True
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 3_900_000_000)
    monkeypatch.setattr(torch.cuda, "utilization", utilisation)
    memory = {"system/gpu_0_memory_usage_megabytes": 3900.0}
    assert device_load(GPU) == {**memory, "system/gpu_0_utilization_percentage": 87.0}
    installed = False
    assert device_load(GPU) == memory
    assert device_load(CPU) == {}

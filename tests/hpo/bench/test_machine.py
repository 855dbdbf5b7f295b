"""What is said of GPU, driver, torch and number formats."""

import subprocess
from types import SimpleNamespace

import pytest
import torch

from hpo.bench import machine
from hpo.bench.machine import check_driver, check_load, check_products, check_torch
from hpo.bench.setting import Setting
from model.training.device_state import UTILISATION, LoadMeter

CARD = "NVIDIA H100 80GB HBM3, 81559 MiB, 550.54.15, Default"


def answer(monkeypatch: pytest.MonkeyPatch, text: str, code: int = 0) -> None:
    """Let ``nvidia-smi`` answer."""
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/usr/bin/{name}")
    done = subprocess.CompletedProcess([], code, text, "")
    monkeypatch.setattr(machine.subprocess, "run", lambda *arguments, **options: done)


def test_gpu_that_torch_was_built_without_fails(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, f"{CARD}\n")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (line,) = check_torch(setting)
    assert line.verdict == "FAIL" and "it cannot use NVIDIA H100 80GB HBM3" in line.figures


def test_torch_on_a_machine_without_a_gpu_passes(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    (line,) = check_torch(setting)
    assert line.verdict == "PASS" and torch.__version__ in line.figures
    assert [line.verdict for line in check_driver(setting)] == ["not checked"]


@pytest.mark.parametrize(
    ("text", "code", "verdict"),
    [
        (f"{CARD}\n", 0, "PASS"),
        (CARD.replace("Default", "Prohibited") + "\n", 0, "FAIL"),
        ("", 0, "FAIL"),
        ("", 9, "not checked"),
    ],
)
def test_driver_of_a_gpu(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, text: str, code: int, verdict: str
) -> None:
    setting.device = torch.device("cuda")
    properties = SimpleNamespace(name="NVIDIA H100", total_memory=80_000_000_000)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    answer(monkeypatch, text, code)
    gpu, driver = check_driver(setting)
    assert (gpu.verdict, gpu.figures) == ("PASS", "NVIDIA H100, 80.0 GB")
    assert driver.verdict == verdict


def test_load_of_a_gpu_passes_only_with_its_utilisation(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(**load: float) -> None:
        monkeypatch.setattr(LoadMeter, "load", load)

    measured(memory=3900.0, **{UTILISATION: 87.0})
    (line,) = check_load(setting)
    assert line.verdict == "PASS" and f"{UTILISATION} 87" in line.figures
    measured(memory=3900.0)
    (line,) = check_load(setting)
    assert line.verdict == "not checked" and "pip install '.[gpu]'" in line.figures


def test_products_round_as_their_format_does(setting: Setting) -> None:
    assert [line.verdict for line in check_products(setting)] == ["PASS", "not checked", "PASS"]


def test_product_in_another_format_fails(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is rounded more, such as TF32 in place of float32, or less."""
    monkeypatch.setattr(machine, "compute_dtype", lambda precision: torch.bfloat16)
    single, _, _ = check_products(setting)
    assert single.verdict == "FAIL"
    monkeypatch.setattr(machine, "compute_dtype", lambda precision: torch.float32)
    *_, half = check_products(setting)
    assert half.verdict == "FAIL"

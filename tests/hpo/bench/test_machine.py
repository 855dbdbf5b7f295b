"""What is said of GPU, driver, torch and number formats."""

import subprocess

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
    answer(monkeypatch, text, code)
    (line,) = check_driver(setting)
    assert line.verdict == verdict


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


def test_gpu_without_tf32_is_not_blamed_for_it(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "precisions_of", lambda device: ("float32", "tf32"))
    errors = {"float32": 2e-7, "tf32": 2e-7}
    monkeypatch.setattr(machine, "_product_error", lambda precision, device: errors[precision])
    for capability, verdict in (((7, 5), "not checked"), ((9, 0), "FAIL")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, of=capability: of)
        single, rounded, _ = check_products(setting)
        assert (single.verdict, rounded.verdict) == ("PASS", verdict)


def test_product_in_another_format_fails(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is rounded more, such as TF32 in place of float32, or less."""
    monkeypatch.setattr(machine, "compute_dtype", lambda precision: torch.bfloat16)
    single, _, _ = check_products(setting)
    assert single.verdict == "FAIL"
    monkeypatch.setattr(machine, "compute_dtype", lambda precision: torch.float32)
    *_, half = check_products(setting)
    assert half.verdict == "FAIL"

"""How checks run: one after the other, each with a verdict, within the time limit."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from hpo.bench import checks
from hpo.bench.checks import CHECKS, Check, run_checks
from hpo.bench.line import Line, judged
from hpo.bench.setting import Setting


def passing(setting: Setting) -> Iterator[Line]:
    yield judged("one", True, "1")
    yield judged("two", True, "2")


def raising(setting: Setting) -> Iterator[Line]:
    yield judged("one", True, "1")
    raise RuntimeError("CUDA error: no kernel image\nCompile with TORCH_USE_CUDA_DSA")


def endless(setting: Setting) -> Iterator[Line]:
    while True:
        time.sleep(0.01)
    yield


def summary(lines: Iterator[Line]) -> list[tuple[str, str]]:
    return [(line.name, line.verdict) for line in lines]


def test_check_that_raises_an_error_fails_and_the_next_runs(setting: Setting) -> None:
    lines = list(run_checks(setting, [Check("broken", raising), Check("fine", passing)]))
    assert [(line.name, line.verdict) for line in lines] == [
        ("one", "PASS"),
        ("broken", "FAIL"),
        ("one", "PASS"),
        ("two", "PASS"),
    ]
    assert lines[1].figures.startswith("RuntimeError: CUDA error: no kernel image (test_checks.py, line ")


def test_time_limit_ends_a_check_that_handles_every_error(tmp_path: Path) -> None:
    def stubborn(_: Setting) -> Iterator[Line]:
        with suppress(Exception):
            while True:
                time.sleep(0.01)
        yield judged("stubborn", True, "")

    soon = Setting(torch.device("cpu"), tmp_path, limit_s=0.2)
    (line,) = run_checks(soon, [Check("stubborn", stubborn)])
    assert line.verdict == "FAIL" and "interrupted at the time limit" in line.figures


def test_what_needs_a_gpu_never_passes_on_a_processor(setting: Setting) -> None:
    (line,) = run_checks(setting, [Check("recordings", passing, needs_gpu=True)])
    assert line.text.split("  ")[-1] == "not checked: needs a GPU" and "PASS" not in line.text
    assert {check.name for check in CHECKS if check.needs_gpu} == {
        "GPU and driver",
        "GPU in MLflow",
        "replay of recorded steps",
        "recording after trials change",
        "no waiting inside steps",
        "no waiting inside BMN steps",
        "memory limit",
        "device assert",
    }


def test_check_that_takes_longer_than_the_time_that_is_left_fails(setting: Setting) -> None:
    short = Setting(setting.device, setting.folder, limit_s=0.05)
    lines = run_checks(short, [Check("endless", endless), Check("late", passing)])
    assert summary(lines) == [("endless", "FAIL"), ("late", "not checked")]


def test_nothing_is_blamed_that_runs_after_the_gpu_has_failed(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "still_works", lambda device: False)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    (line,) = run_checks(setting, [Check("fine", passing)])
    assert line.verdict == "FAIL" and "in an earlier check" in line.figures

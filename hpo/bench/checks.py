"""All checks of ``hpo bench --check``, in order, each with the lines that it reports."""

import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from hpo.bench.boundary import check_boundary_step, check_boundary_waits
from hpo.bench.line import NEEDS_GPU, Line, judged, not_checked
from hpo.bench.machine import check_driver, check_load, check_products, check_torch
from hpo.bench.memory import check_growth, check_memory_limit
from hpo.bench.numbers import check_step
from hpo.bench.recording import check_other_trials, check_replay, check_waits
from hpo.bench.recovery import check_device_fault
from hpo.bench.setting import Setting
from hpo.bench.speed import check_arrays
from hpo.bench.study import check_killed_study
from model.training.device_state import still_works
from model.wording import described

LIMIT_S = 570.0
"""Longest duration of all checks in seconds; with the start of the process it is less than ten minutes."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check, which reports one or more lines."""

    name: str
    """Subject of the check; the name of the line if the check cannot report its own."""
    run: Callable[[Setting], Iterator[Line]]
    needs_gpu: bool = False
    """True if a processor has nothing that could be checked."""


CHECKS = (
    Check("GPU and driver", check_driver, needs_gpu=True),
    Check("torch", check_torch),
    Check("study killed and resumed", check_killed_study),
    Check("device assert", check_device_fault, needs_gpu=True),
    Check("GPU in MLflow", check_load, needs_gpu=True),
    Check("number formats", check_products),
    Check("losses and gradients of a step", check_step),
    Check("replay of recorded steps", check_replay, needs_gpu=True),
    Check("recording after trials change", check_other_trials, needs_gpu=True),
    Check("no waiting inside steps", check_waits, needs_gpu=True),
    Check("BMN step", check_boundary_step),
    Check("no waiting inside BMN steps", check_boundary_waits, needs_gpu=True),
    Check("memory over 20 intervals", check_growth),
    Check("memory limit", check_memory_limit, needs_gpu=True),
    Check("arrays", check_arrays),
)
"""All checks in order. A GPU in exclusive mode would refuse other processes later, so theirs come first."""


class _TimeIsOver(BaseException):
    """Interruption of a check at the time limit."""


def run_checks(setting: Setting, checks: Sequence[Check] = CHECKS) -> Iterator[Line]:
    """Run the checks one after the other; yield each line as soon as it is known.

    A check that raises an error fails, and the others continue.
    """
    for check in checks:
        if check.needs_gpu and not setting.has_gpu:
            yield not_checked(check.name, NEEDS_GPU)
        elif _has_failed(setting.device):
            yield judged(check.name, False, "the GPU failed in an earlier check")
        else:
            yield from _lines(check, setting)


def _has_failed(device: torch.device) -> bool:
    """Return whether the GPU has failed, if this process uses one already."""
    return torch.cuda.is_initialized() and not still_works(device)  # type: ignore[no-untyped-call]


def _lines(check: Check, setting: Setting) -> Iterator[Line]:
    if setting.left_s <= 0:
        yield not_checked(check.name, "no time left within the limit for all checks")
        return
    lines = check.run(setting)
    try:
        while (line := _next(lines, setting.left_s)) is not None:
            yield line
    except _TimeIsOver:
        yield judged(check.name, False, "it was interrupted at the time limit of all checks")
    except Exception as error:  # whatever a device or a driver raises is what is looked for
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}, line {last.lineno}"
        yield judged(check.name, False, f"{described(error)} ({place})")


def _next(lines: Iterator[Line], seconds: float) -> Line | None:
    with _interrupted_after(seconds):
        return next(lines, None)


@contextmanager
def _interrupted_after(seconds: float) -> Iterator[None]:
    """Raise ``_TimeIsOver`` in the context after ``seconds``, or at once if there are none."""

    def interrupt(number: int, frame: object) -> None:
        raise _TimeIsOver

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)

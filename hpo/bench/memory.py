"""Checks of memory: it stays flat over intervals, and an array that does not fit shrinks and finishes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from hpo.bench.line import Line, judged
from hpo.bench.setting import Setting
from hpo.bench.trials import mixed_cohorts, training_array
from model.memory import free_memory
from model.training.benchmark import bench_trials
from model.training.device_state import MEGABYTE
from model.training.outcomes import FailedError
from model.training.trainer import TrainingArray

INTERVALS = 20
SETTLED = 8
"""Number of intervals after which memory must not grow any more."""
GROWTH_MB = 32.0
"""Largest growth of memory from then on, in megabytes."""
TRIALS = 16
"""Trials of the array that must shrink."""
SHRUNK = 0.6
"""Memory that this array gets, relative to what it takes."""
_PAGES = Path("/proc/self/statm")


def check_growth(setting: Setting) -> Iterator[Line]:
    """Train an array over many validations and follow the memory of the process."""
    trials = [trial for cohort in mixed_cohorts(setting.train) for trial in cohort]
    array = training_array(setting, trials, epochs=INTERVALS, on_note=lambda note: None)
    of = "reserved on the GPU" if setting.has_gpu else "of the process"
    yield growth_line(array.advance, lambda: memory_mb(setting.device), of)


def growth_line(advance: Callable[[], object], memory: Callable[[], float], of: str) -> Line:
    """Call ``advance`` for every interval and judge how the memory grows."""
    seen = []
    for _ in range(INTERVALS):
        advance()
        seen.append(memory())
    growth = max(seen[SETTLED:]) - seen[SETTLED - 1]
    return judged(
        f"memory over {INTERVALS} intervals",
        growth <= GROWTH_MB,
        f"{seen[-1]:,.0f} MB {of}; after interval {SETTLED} it grows by {growth:,.0f} MB, "
        f"at most {GROWTH_MB:.0f} MB",
    )


def check_memory_limit(setting: Setting) -> Iterator[Line]:
    """Give an array less memory than it takes: it must train fewer trials at once and finish them all."""
    trials = bench_trials(TRIALS, setting.train, mixed=True)
    free_memory()
    torch.cuda.reset_peak_memory_stats(setting.device)
    finish(training_array(setting, trials, epochs=1, on_note=lambda note: None))
    # Not what is reserved: of that, the allocator could give back a part before the array has to shrink.
    taken = torch.cuda.max_memory_allocated(setting.device)
    notes: list[str] = []
    with _limited_to(int(SHRUNK * taken), setting.device):
        failures = finish(training_array(setting, trials, epochs=2, on_note=notes.append))
    yield shrinking_line(SHRUNK * taken / MEGABYTE, failures, notes)


def shrinking_line(limit_mb: float, failures: Sequence[str], notes: Sequence[str]) -> Line:
    """Judge an array that had too little memory: it must say so, and no trial may fail."""
    said = [note for note in notes if "memory is too small" in note]
    figures = f"{TRIALS} trials in {limit_mb:,.0f} MB, {SHRUNK:.0%} of what they take: "
    if failures:
        figures += f"{len(failures)} failed ({failures[0]})"
    else:
        figures += f"all finished; {said[0]}" if said else "all finished, but the array did not shrink"
    return judged("memory limit", bool(said) and not failures, figures)


def finish(array: TrainingArray) -> list[str]:
    """Train the trials of an array to their end; return the reasons of those that failed."""
    failures: list[str] = []
    while array.slots:
        results = [outcome.result for outcome in array.advance()]
        failures += [str(result) for result in results if isinstance(result, FailedError)]
        array.slots = [slot for slot in array.slots if slot.epoch < array.training.epochs]
    return failures


def memory_mb(device: torch.device) -> float:
    """Return the memory that this process has reserved on a GPU, or its resident memory, in megabytes."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device) / MEGABYTE
    import resource

    return int(_PAGES.read_text().split()[1]) * resource.getpagesize() / MEGABYTE


@contextmanager
def _limited_to(size: int, device: torch.device) -> Iterator[None]:
    """Limit the memory that this process may take on a GPU to ``size`` bytes."""
    free_memory()
    whole = torch.cuda.get_device_properties(device).total_memory
    # Without a device this limits the current one; with one it wants its number, which "cuda" does not have.
    torch.cuda.set_per_process_memory_fraction(size / whole)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        free_memory()

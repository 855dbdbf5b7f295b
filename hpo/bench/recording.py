"""Checks of recorded steps: they learn what separate ones learn, and none of them waits for the host."""

import warnings
from collections.abc import Iterator

import torch
from torch import Tensor

from hpo.bench.line import Line, judged
from hpo.bench.numbers import relative_error
from hpo.bench.setting import Setting
from hpo.bench.trials import SAMPLER, batches, mixed_cohorts, rates, training_array
from model.data.chunks import ChunkSource
from model.precision import Precision, compute_dtype, computing, precisions_of
from model.training.recorder import Recorder
from model.training.slot import Slot
from model.training.steps import RecordedSteps

STEPS = 20
TOLERANCE = 1e-5
"""Largest relative difference of the weights after ``STEPS`` steps on a GPU that repeats itself exactly."""
NOISE_SHARE = 4.0
"""The same, relative to the difference of two runs without recordings: some sums on a GPU have no fixed
order, and the optimiser turns the sign of a gradient near zero into a whole step."""


def check_replay(setting: Setting) -> Iterator[Line]:
    """Train with recorded steps and with the same steps launched one by one, and compare the weights.

    The launched steps are repeated, to see how exactly the device repeats itself.
    """
    for precision in precisions_of(setting.device):
        notes: list[str] = []
        recorder = Recorder(notes.append)
        recorded = trained(setting, precision, recorder)
        launched, repeated = (trained(setting, precision, _refusing()) for _ in range(2))
        difference = max(map(relative_error, recorded, launched))
        noise = max(map(relative_error, repeated, launched))
        limit = max(TOLERANCE, NOISE_SHARE * noise)
        yield judged(
            f"replay of recorded steps, {precision}",
            recorder.works and difference <= limit,
            "; ".join(notes)
            or f"{STEPS} steps, relative difference of weights {difference:.1e}, at most {limit:.1e}; "
            f"two runs without recordings differ by {noise:.1e}",
        )


def check_other_trials(setting: Setting) -> Iterator[Line]:
    """Train an array whose trials change: the steps of the next trials must be recorded as well."""
    notes: list[str] = []
    cohorts = mixed_cohorts(setting.train)
    array = training_array(setting, cohorts[0], epochs=1, on_note=notes.append)
    array.advance()
    array.slots = [Slot(trial) for trial in cohorts[1]]
    array.advance()
    yield judged(
        "recording after trials change",
        not notes,
        "; ".join(notes) or f"{len(cohorts)} sets of trials in turn, the steps of each recorded",
    )


def check_waits(setting: Setting) -> Iterator[Line]:
    """Let CUDA refuse whatever waits for the device inside the steps of an epoch, after the first one."""
    for precision in precisions_of(setting.device):
        steps, slots = _steps(setting, precision, Recorder())
        taken = steps.take(list(zip(*batches(setting.train, STEPS), strict=True)), rates(slots, STEPS))
        with computing(precision, setting.device):
            next(taken)  # copies the inputs of all steps to the device and records
            waited = refused_wait(taken)
        yield judged(
            f"no waiting inside steps, {precision}",
            not waited,
            waited or f"{STEPS - 1} steps launched without waiting for the device",
        )


def refused_wait(taken: Iterator[Tensor]) -> str:
    """Take the steps that are left; return CUDA's message about the first that waits for the device."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype feature")
        torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in taken:
            pass
    except RuntimeError as error:
        return str(error).splitlines()[0]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return ""


def trained(setting: Setting, precision: Precision, recorder: Recorder) -> list[Tensor]:
    """Train the mixed cohorts for ``STEPS`` steps; return the weights of every trial as one tensor."""
    with computing(precision, setting.device):
        steps, slots = _steps(setting, precision, recorder)
        steps.epoch(batches(setting.train, STEPS), rates(slots, STEPS))
        steps.write_back(1, STEPS)
    return [torch.cat([weight.detach().flatten() for weight in slot.network.parameters()]) for slot in slots]


def _steps(setting: Setting, precision: Precision, recorder: Recorder) -> tuple[RecordedSteps, list[Slot]]:
    dtype = compute_dtype(precision)
    source = ChunkSource(setting.train, SAMPLER.chunk_frames, device=setting.device, dtype=dtype)
    cohorts = [[Slot(trial) for trial in trials] for trials in mixed_cohorts(setting.train)]
    steps = RecordedSteps(cohorts, source, setting.device, recorder)
    return steps, [slot for cohort in cohorts for slot in cohort]


def _refusing() -> Recorder:
    """Return a recorder with which every step is launched operation by operation."""
    recorder = Recorder()
    recorder.works = False
    return recorder

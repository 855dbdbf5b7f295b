"""What a step, an array, a measurement and BMN do on the simulated GPU, as one JSON object for the tests."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from training.trials import OTHER, TRAIN, TRAINING, TRIAL, VALID

from model.data.chunks import ChunkSource
from model.data.sampler import ChunkSampler
from model.losses import spotting
from model.networks import spectral
from model.training import steps as steps_module
from model.training import throughput
from model.training.outcomes import Validation
from model.training.recorder import Recorder
from model.training.slot import Slot
from model.training.steps import RecordedSteps, SeparateSteps, Steps
from model.training.trainer import TrainingArray
from simulated_gpu.device import GPU, Device, RefusedError, SimulatedGpu, install

CPU = torch.device("cpu")
TRIALS = [
    TRIAL,
    OTHER,
    replace(OTHER, loss=replace(OTHER.loss, matching="none")),
    replace(TRIAL, seed=9, data_seed=4),
]
EPOCHS = 2


def largest_difference(ours: list[Slot], theirs: list[Slot]) -> float:
    """Largest difference between two sets of weights."""
    return max(
        float((mine - other).detach().abs().max())
        for one, two in zip(ours, theirs, strict=True)
        for mine, other in zip(one.network.parameters(), two.network.parameters(), strict=True)
    )


@contextmanager
def in_float64() -> Iterator[None]:
    """Everything in float64: rounding of float32 grows within a hundred steps."""
    single = torch.Tensor.float
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]
    torch.set_default_dtype(torch.float64)
    spectral._transform.cache_clear()
    try:
        yield
    finally:
        torch.Tensor.float = single  # type: ignore[method-assign]
        torch.set_default_dtype(torch.float32)
        spectral._transform.cache_clear()


def steps(*, groups: bool) -> dict[str, Any]:
    """Recorded steps of two cohorts beside separate ones on the processor."""
    steps_module.group_by_width = (
        (lambda columns: [[1, 2], [0, 3]]) if groups else (lambda columns: [[0, 1, 2, 3]])
    )

    def train(make: Callable[..., Steps], device: torch.device, *rest: object) -> list[Slot]:
        slots = [Slot(trial) for trial in TRIALS]
        source = ChunkSource(TRAIN, 40, device=device, dtype=torch.float64)
        taken = make([slots[:3], slots[3:]], source, device, *rest)
        count = 0
        for epoch in range(EPOCHS):
            plans = [ChunkSampler(TRAIN, TRAINING.sampler, seed).epoch(epoch) for seed in (3, 4)]
            rates = [
                [1e-3 * (1 + epoch + 0.1 * step + slot) for slot in range(4)] for step in range(len(plans[0]))
            ]
            taken.epoch(plans, rates)
            count += len(plans[0])
        taken.write_back(EPOCHS, count)
        return slots

    notes: list[str] = []
    with in_float64():
        separate = train(SeparateSteps, CPU)
        spectral._transform.cache_clear()
        Device.reset()
        with SimulatedGpu():
            recorded = train(RecordedSteps, GPU, Recorder(notes.append))
        return {
            "difference": largest_difference(recorded, separate),
            "captures": Device.captures,
            "pools": len(Device.pools),
            "replays": Device.replays,
            "notes": notes,
        }


def array() -> dict[str, Any]:
    """An array that trains and validates twice, in float32, beside the same on the processor."""

    def validations(device: torch.device) -> list[dict[str, float]]:
        made = TrainingArray(TRAINING, train=TRAIN, valid=VALID, device=device, on_note=notes.append)
        made.slots = [Slot(trial) for trial in TRIALS]
        captures.clear()
        found = []
        for _ in range(2):
            for outcome in made.advance():
                assert isinstance(outcome.result, Validation), outcome.result
                found.append(outcome.result.metrics)
            captures.append(Device.captures)
        return found

    captures: list[int] = []
    notes: list[str] = []
    expected = validations(CPU)
    Device.reset()
    with SimulatedGpu():
        found = validations(GPU)
    return {
        "captures": captures,
        "notes": notes,
        "pools": len(Device.pools),
        "difference": max(
            abs(ours[name] - theirs[name])
            for ours, theirs in zip(found, expected, strict=True)
            for name in ours
            if name != "chunks_per_s"
        ),
    }


def measurement() -> dict[str, Any]:
    """The measurements that choose number format and array."""
    with SimulatedGpu():
        size = throughput.fastest_array(TRIAL, TRAINING, TRAIN, GPU, most=2)
        return {
            "array": size,
            "precision": throughput.faster_precision(TRIAL, TRAINING, TRAIN, GPU, array=2),
        }


def bmn() -> dict[str, Any]:
    """A step of BMN on the device beside one on the processor, and what it waits for."""
    from training.boundary.videos import TRAIN as VIDEOS
    from training.boundary.videos import TRIAL as BMN_TRIAL

    from model.inference.proposals import VideoSource
    from model.training.boundary.slot import BoundarySlot
    from simulated_gpu.boundary import install_boundary

    install_boundary()
    trial = replace(BMN_TRIAL, loss=replace(BMN_TRIAL.loss, tem_loss="context-aware"))
    losses = []
    for device in (CPU, GPU):
        with SimulatedGpu():
            slot = BoundarySlot(trial)
            slot.place(device)
            videos, draws = VideoSource(VIDEOS, device), torch.Generator().manual_seed(0)
            slot.step(videos.load([2, 0]), draws, "float32")
            Device.reset()
            total = slot.step(videos.load([5, 1]), draws, "float32").total
            waits = dict(Device.waits)
            losses.append(total.item())
    return {"difference": abs(losses[1] - losses[0]), "waits": waits}


def controls() -> dict[str, Any]:
    """What the simulated device must refuse: a host read in a step, and tensors of two devices."""
    match = spotting.match_one_to_one

    def asks(actions: torch.Tensor, is_action: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
        assert int(is_action.sum()) >= 0
        return match(actions, is_action, predicted)

    def mixes(actions: torch.Tensor, is_action: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
        return match(actions, is_action, predicted) + torch.zeros(actions.shape, dtype=torch.long)

    found = {}
    for name, broken in (("read", asks), ("mixed", mixes)):
        spotting.match_one_to_one = broken
        notes: list[str] = []
        try:
            with SimulatedGpu():
                made = TrainingArray(TRAINING, train=TRAIN, valid=VALID, device=GPU, on_note=notes.append)
                made.slots = [Slot(TRIAL)]
                made.advance()
        except RefusedError as error:
            notes.append(str(error))
        found[name] = notes
    spotting.match_one_to_one = match
    return found


def main() -> None:
    """Do all checks and print them."""
    torch.set_num_threads(1)
    install()
    steps_module.BUCKET, throughput.ROUNDS = 2, 1
    group_by_width = steps_module.group_by_width
    found = {"steps": steps(groups=False), "grouped_steps": steps(groups=True)}
    steps_module.group_by_width = group_by_width
    found |= {"array": array(), "measurement": measurement(), "bmn": bmn(), "controls": controls()}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

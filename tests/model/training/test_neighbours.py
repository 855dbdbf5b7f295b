"""A trial in company: what it reaches is its own, on a processor to the last bit."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import count
from types import SimpleNamespace

import pytest
import torch
from tensors import same_weights
from torch.utils._python_dispatch import TorchDispatchMode
from training.trials import (
    CPU,
    LOSS,
    NETWORK,
    OTHER,
    TRAIN,
    TRAINING,
    TRIAL,
    array_of,
    numbers,
    run,
)

from model.data.chunks import ChunkSource, chunk_places
from model.data.sampler import ChunkBatch, ChunkSampler, SamplerConfig
from model.encoding import Zones
from model.networks import spectral
from model.training import trainer
from model.training.config import TrainingConfig, TrialConfig
from model.training.outcomes import DivergedError, FailedError, Validation
from model.training.recorder import Recorder
from model.training.slot import Slot
from model.training.steps import RecordedSteps, SeparateSteps, make_steps
from model.training.trainer import TrainingArray
from model.training.training_stack import TrainingStack

LONG = TrainingConfig(
    epochs=50,
    validate_every=10,
    sampler=SamplerConfig(
        name="balanced", chunk_frames=40, margin_frames=8, batch_size=4, chunks_per_epoch=16
    ),
)
"""200 steps."""


def neighbour(f: int, r: int, **loss: float) -> TrialConfig:
    network = replace(NETWORK, class_features=f, receptive_field_frames=r)
    return TrialConfig(network=network, loss=replace(LOSS, **loss), seed=10 * f + r, data_seed=3)


NEIGHBOURS = [
    neighbour(1, 2, alpha2=0.5),
    neighbour(9, 30, beta=3.0),
    neighbour(4, 8, lambda_seg=0.0),
    neighbour(3, 13, tau_max=1.0, tau_min=0.0),
    replace(neighbour(3, 8), loss=replace(LOSS, zones=Zones(((-2.0, -1.0, 1.0, 2.0),) * 2))),
    replace(neighbour(2, 8), loss=replace(LOSS, matching="none")),
    replace(neighbour(5, 20), learning_rate=3e-3, data_seed=4),
]


Trained = tuple[Slot, list[Validation]]
"""A trial at its end, and what it reported."""
COMPANY = [TRIAL, *NEIGHBOURS, OTHER]
"""Nine trials; every one has eight others of other shapes beside it, before or behind it."""


@pytest.fixture(scope="module")
def trained_together() -> list[Trained]:
    together = array_of(COMPANY, LONG)
    slots = list(together.slots)
    return list(zip(slots, run(together), strict=True))


@pytest.fixture(scope="module")
def trained_alone() -> Callable[[TrialConfig], Trained]:
    """Trains a trial alone, once."""

    @lru_cache
    def train(place: int) -> Trained:
        alone = array_of([COMPANY[place]], LONG)
        (slot,) = alone.slots
        (validations,) = run(alone)
        return slot, validations

    return lambda trial: train(COMPANY.index(trial))


@pytest.mark.parametrize("trial", [TRIAL, OTHER, *NEIGHBOURS[:2], NEIGHBOURS[5]])
def test_trial_among_eight_others_of_other_shapes_is_what_it_is_alone(
    trial: TrialConfig,
    trained_together: list[Trained],
    trained_alone: Callable[[TrialConfig], Trained],
) -> None:
    expected, validations = trained_alone(trial)
    slot, found = trained_together[COMPANY.index(trial)]
    assert numbers(found) == numbers(validations)
    assert slot.steps == expected.steps == 200
    assert same_weights(slot, expected)


def test_trial_that_joins_late_and_sees_its_neighbours_leave_is_what_it_is_alone(
    trained_alone: Callable[[TrialConfig], Trained],
) -> None:
    expected, validations = trained_alone(TRIAL)

    array, late, found = array_of(NEIGHBOURS[:3], LONG), Slot(TRIAL), []
    while array.slots:
        for outcome in array.advance():
            if outcome.slot is late:
                found.append(outcome.result)
        array.slots = [slot for slot in array.slots if slot.epoch < LONG.epochs]
        if late.epoch == 0:
            array.slots.append(late)
        if late.epoch == 20:
            array.slots.pop(0)  # as one that a scheduler stops
    assert numbers(found) == numbers(validations)
    assert same_weights(late, expected)


def test_interval_of_one_trial_may_end_while_another_is_between_two_validations() -> None:
    """The last interval is shorter: 10 of 30 epochs each, then 5."""
    training = replace(LONG, epochs=35)
    alone = array_of([TRIAL], training)
    (expected,) = alone.slots
    (validations,) = run(alone)

    array, late, found = array_of([OTHER], training), Slot(TRIAL), []
    array.slots[0].epoch = 30  # its end comes after five epochs
    array.slots.append(late)
    assert [outcome.slot for outcome in array.advance()] == [array.slots[0]]
    assert late.epoch == 5
    array.slots = [late]
    while late.epoch < training.epochs:
        found += [outcome.result for outcome in array.advance()]
    assert [entry.epoch for entry in found] == [10, 20, 30, 35]
    assert numbers(found) == numbers(validations)
    assert same_weights(late, expected)


def test_time_between_two_validations_is_counted_although_a_neighbour_is_scored_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = count(step=10.0)  # each look at the clock is 10 s later, and each call looks three times
    monkeypatch.setattr(trainer, "time", SimpleNamespace(perf_counter=lambda: next(now)))
    training = replace(LONG, epochs=35)
    array, late = array_of([OTHER], training), Slot(TRIAL)
    array.slots[0].epoch = 30  # its last validation comes after five epochs
    array.slots.append(late)
    (first,) = array.advance()
    array.slots = [late]
    (second,) = array.advance()
    assert isinstance(first.result, Validation) and isinstance(second.result, Validation)
    assert (first.result.duration_s, second.result.duration_s) == (10.0, 30.0)


def test_trial_that_diverges_leaves_its_neighbours_as_they_are() -> None:
    exploding = replace(OTHER, learning_rate=1e38)
    alone = array_of([TRIAL])
    (expected,) = alone.slots
    (validations,) = run(alone)

    array = array_of([exploding, TRIAL])
    lost, healthy = array.slots
    found = []
    while array.slots:
        for outcome in array.advance():
            if outcome.slot is lost:
                assert isinstance(outcome.result, DivergedError)
            else:
                found.append(outcome.result)
        assert lost not in array.slots
        array.slots = [slot for slot in array.slots if slot.epoch < TRAINING.epochs]
    assert numbers(found) == numbers(validations)
    assert same_weights(healthy, expected)


class SmallMemory:
    """Stands in for a device that holds so many slots at once."""

    lack: Exception = torch.OutOfMemoryError("CUDA out of memory")

    def __init__(self, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        work = TrainingArray._train_part

        def train(array: TrainingArray, slots: list[Slot], epochs: int) -> Mapping[Slot, object]:
            self.sizes.append(len(slots))
            if len(slots) > most:
                raise self.lack
            return work(array, slots, epochs)

        monkeypatch.setattr(TrainingArray, "_train_part", train)


def test_array_out_of_memory_shrinks_reports_it_and_continues(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [TRIAL, OTHER, *NEIGHBOURS[:3]]
    expected = [run(array_of([trial]))[0] for trial in trials]
    memory, reported = SmallMemory(2, monkeypatch), []
    array = TrainingArray(
        TRAINING, train=TRAIN, valid=array_of([TRIAL])._valid, device=CPU, on_note=reported.append
    )
    array.slots = [Slot(trial) for trial in trials]
    for ours, theirs in zip(run(array), expected, strict=True):
        assert numbers(ours) == numbers(theirs)
    assert len(reported) == 1 and "from now on, 2 at once" in reported[0]
    assert memory.sizes == [5, 2, 2, 1, 2, 2, 1]


@pytest.mark.parametrize(
    "lack", [SmallMemory.lack, RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling ...")]
)
def test_trial_that_does_not_fit_alone_fails(monkeypatch: pytest.MonkeyPatch, lack: Exception) -> None:
    SmallMemory(0, monkeypatch).lack = lack
    array = array_of([TRIAL, OTHER])
    outcomes = array.advance()
    assert len(outcomes) == 2 and array.slots == []
    for outcome in outcomes:
        assert type(outcome.result) is FailedError and "memory" in str(outcome.result)


@pytest.fixture
def doubled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything in float64: rounding of float32 grows to all there is within some hundred steps.

    A prediction is matched to one action or to another; the last bit may decide it.
    """
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    spectral._transform.cache_clear()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
    spectral._transform.cache_clear()


@pytest.mark.parametrize("company", [[], pytest.param(NEIGHBOURS[:2], marks=pytest.mark.slow), NEIGHBOURS])
def test_stack_of_networks_of_other_shapes_trains_each_as_it_trains_alone(
    doubled: None, company: list[TrialConfig]
) -> None:
    """What a GPU computes: one stack, padded to the largest f, r and batch, in two cohorts."""
    source = ChunkSource(TRAIN, 40, device=CPU, dtype=torch.float64)
    samplers = [ChunkSampler(TRAIN, LONG.sampler, seed) for seed in (3, 4)]
    alone, together, other = Slot(TRIAL), Slot(TRIAL), Slot(NEIGHBOURS[6])
    first, second = (
        TrainingStack([[alone]], CPU),
        TrainingStack([[*map(Slot, company), together], [other]], CPU),
    )
    first.rates.fill_(1e-3)
    second.rates.fill_(1e-3)
    for epoch in range(20):
        for batches in zip(*(sampler.epoch(epoch) for sampler in samplers), strict=True):
            expected = first.step(source.load(batches[:1]))
            losses = second.step(source.load([batches[0], shortened(batches[1])], 6))
            torch.testing.assert_close(losses[:, -2], expected[:, 0], rtol=1e-6, atol=1e-9)
    first.write_back(20, 80)
    second.write_back(20, 80)
    for (name, ours), theirs in zip(
        together.network.named_parameters(), alone.network.parameters(), strict=True
    ):
        assert (ours - theirs).norm() <= 1e-4 * theirs.norm(), name
    assert together.steps == alone.steps == 80


def shortened(batch: ChunkBatch) -> ChunkBatch:
    return ChunkBatch(batch.half[:3], batch.start[:3])


@pytest.mark.parametrize("unbiased", [False, True])
def test_running_values_follow_each_network_s_own_batches(unbiased: bool) -> None:
    network = replace(NETWORK, norm_momentum=0.1, norm_unbiased=unbiased)
    trial = replace(TRIAL, network=network)
    wide = replace(trial, network=replace(network, class_features=7))
    source = ChunkSource(TRAIN, 40, device=CPU, dtype=torch.float32)
    batches = ChunkSampler(TRAIN, LONG.sampler, 3).epoch(0)[:2]
    alone, together = Slot(trial), Slot(trial)
    first, second = TrainingStack([[alone]], CPU), TrainingStack([[Slot(wide)], [together]], CPU)
    first.step(source.load([shortened(batches[0])]))
    second.step(source.load([batches[1], shortened(batches[0])]))
    first.write_back(1, 1)
    second.write_back(1, 1)
    for name in ("running_mean", "running_variance"):
        ours, theirs = getattr(together.network.norm, name), getattr(alone.network.norm, name)
        assert not torch.equal(theirs, getattr(Slot(trial).network.norm, name))
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


class Replays(Recorder):
    """Stands in for CUDA graphs: a repetition does the work again."""

    def record(self, work: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        result = work().clone()
        return lambda: result.copy_(work()), result


@pytest.mark.parametrize("resident", [True, False])
def test_recorded_steps_of_padded_batches_learn_what_separate_ones_learn(
    doubled: None, monkeypatch: pytest.MonkeyPatch, resident: bool
) -> None:
    sizes: list[int] = []
    record = RecordedSteps._record

    def note(steps: RecordedSteps, place: torch.Tensor) -> object:
        sizes.append(place.shape[-1])
        return record(steps, place)

    monkeypatch.setattr(RecordedSteps, "_record", note)
    monkeypatch.setattr("model.training.steps.BUCKET", 2)
    source = ChunkSource(TRAIN, 40, device=CPU, dtype=torch.float64)
    source.is_resident = resident
    trials = [TRIAL, OTHER, NEIGHBOURS[6]]
    samplers = [ChunkSampler(TRAIN, TRAINING.sampler, seed) for seed in (3, 4)]
    slots = [[Slot(trial) for trial in trials] for _ in range(2)]
    recorded = RecordedSteps([slots[0][:2], slots[0][2:]], source, CPU, Replays())
    separate = SeparateSteps([slots[1][:2], slots[1][2:]], source, CPU)
    for epoch in range(3):
        plans = [sampler.epoch(epoch) for sampler in samplers]
        rates = [[1e-3, 2e-3, 1e-3 * step] for step in range(1, 1 + len(plans[0]))]
        torch.testing.assert_close(recorded.epoch(plans, rates), separate.epoch(plans, rates))
    assert sizes == ([4, 2] if resident else []), "the largest first"
    for steps in (recorded, separate):
        steps.write_back(3, 9)
    for ours, theirs in zip(*slots, strict=True):
        for name, weight in ours.network.named_parameters():
            torch.testing.assert_close(weight, theirs.network.get_parameter(name), rtol=1e-6, atol=1e-8)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_array_on_a_gpu_learns_what_a_processor_learns() -> None:
    """A few steps: later rounding decides what is matched to what."""
    slots = [[Slot(trial) for trial in (TRIAL, OTHER)] for _ in range(2)]
    losses = []
    for device, row in zip((CPU, torch.device("cuda")), slots, strict=True):
        source = ChunkSource(TRAIN, 40, device=device, dtype=torch.float32)
        steps = make_steps([row], source, device, Recorder())
        plan = ChunkSampler(TRAIN, TRAINING.sampler, 3).epoch(0)
        losses.append(steps.epoch([plan], [[1e-4, 1e-4]] * len(plan)).cpu())
        steps.write_back(1, len(plan))
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-3, atol=1e-3)


class NoQuestions(TorchDispatchMode):
    """Refuses operations that make a GPU wait for the host to read a number."""

    def __torch_dispatch__(
        self, function: Callable[..., object], types: object, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        name = function.__name__
        assert "_local_scalar_dense" not in name and "nonzero" not in name, name
        return function(*args, **(kwargs or {}))


def test_step_asks_the_device_for_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it could not be recorded as a CUDA graph."""
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    source = ChunkSource(TRAIN, 40, device=CPU, dtype=torch.float32)
    batches = ChunkSampler(TRAIN, TRAINING.sampler, 3).epoch(0)
    stack = TrainingStack([[Slot(TRIAL)], [Slot(OTHER), Slot(NEIGHBOURS[5])]], CPU)
    place = chunk_places([batches[0], batches[1]], 8)
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: None)  # reads its rates, but not on a GPU
    with NoQuestions():
        losses = stack.step(source.cut(place, padded=True))
    assert losses.isfinite().all()

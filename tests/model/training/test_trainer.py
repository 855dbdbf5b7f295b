from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from stores import small_store
from tensors import same_weights
from training.trials import (
    CPU,
    OTHER,
    TRAIN,
    TRAINING,
    TRIAL,
    VALID,
    array_of,
    numbers,
    only,
    run,
)

from model.data.chunks import Chunks, ChunkSource, load_chunks
from model.data.sampler import ChunkBatch, ChunkSampler
from model.data.stores.store import Store
from model.training.checkpoint import load_checkpoint, save_checkpoint
from model.training.config import TrialConfig
from model.training.outcomes import DivergedError
from model.training.slot import Slot
from model.training.steps import SeparateSteps
from model.training.training_stack import TrainingStack


def loaded(half: list[int], start: list[int]) -> Chunks:
    return load_chunks(
        TRAIN, ChunkBatch(np.array(half), np.array(start)), 40, device=CPU, dtype=torch.float32
    )


@pytest.mark.parametrize("sampler", ["paper", "balanced"])
def test_two_runs_with_the_same_seeds_are_equal_to_the_last_bit(sampler) -> None:
    config = replace(TRAINING, sampler=replace(TRAINING.sampler, name=sampler, batch_size=4))
    first, second = array_of([TRIAL], config), array_of([TRIAL], config)
    slots = [*first.slots, *second.slots]
    assert numbers(run(first)[0]) == numbers(run(second)[0])
    assert same_weights(*slots)


def test_weights_and_chunks_have_seeds_of_their_own() -> None:
    base = numbers(run(array_of([TRIAL]))[0])
    other_data = replace(TRIAL, data_seed=4)
    assert numbers(run(array_of([replace(TRIAL, seed=6)]))[0]) != base
    assert numbers(run(array_of([other_data]))[0]) != base
    assert same_weights(Slot(TRIAL), Slot(other_data))


def test_training_resumes_from_a_checkpoint_as_if_never_stopped(tmp_path: Path) -> None:
    whole = array_of([TRIAL])
    (slot,) = whole.slots
    (expected,) = run(whole)

    stopped = array_of([TRIAL])
    stopped.advance()
    save_checkpoint(tmp_path / "last.pt", {"slot": stopped.slots[0].state()})
    resumed = array_of([TRIAL])
    (again,) = resumed.slots
    again.load_state(load_checkpoint(tmp_path / "last.pt")["slot"])

    assert numbers(run(resumed)[0]) == numbers(expected[1:])
    assert same_weights(again, slot)


def test_hyperparameters_do_not_change_which_chunks_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[int], list[int]]] = []
    load = ChunkSource.load

    def note(self: ChunkSource, batches: Sequence[ChunkBatch], size: int = 0) -> Chunks:
        if self.store is TRAIN:
            seen.extend((batch.half.tolist(), batch.start.tolist()) for batch in batches)
        return load(self, batches, size)

    monkeypatch.setattr(ChunkSource, "load", note)
    run(array_of([TRIAL]))
    first = seen.copy()
    seen.clear()
    run(array_of([OTHER]))
    assert len(first) > 4 * len(TRAIN.halves) - 1
    assert seen == first


def test_validations_come_when_the_config_says_and_tell_all_metrics() -> None:
    (validations,) = run(array_of([TRIAL]))
    assert [entry.epoch for entry in validations] == [2, 4]
    assert validations[0].metrics.keys() == {
        "average_map",
        "average_map_present",
        "ap/class-0",
        "ap/class-1",
        "valid/segmentation_loss",
        "valid/spotting_loss",
        "train/segmentation_loss",
        "train/spotting_loss",
        "learning_rate",
        "chunks_per_s",
    }
    assert validations[0].metrics["chunks_per_s"] > 0 and validations[0].duration_s > 0


def stack_of(*trials: TrialConfig) -> TrainingStack:
    return TrainingStack([[Slot(trial) for trial in trials]], CPU)


def test_learning_from_the_same_chunks_again_and_again_lowers_both_losses() -> None:
    stack, chunks = stack_of(TRIAL, OTHER), loaded([0, 0, 1, 2], [5, 45, 30, 10])
    stack.rates.fill_(3e-3)
    losses = torch.stack([stack.step(chunks) for _ in range(60)])
    assert (losses[-1] < 0.7 * losses[0]).all()


def test_learning_rate_falls_linearly_from_first_to_last() -> None:
    slot = Slot(TRIAL)
    assert slot.learning_rate(0.0) == 1e-3
    assert slot.learning_rate(1.0) == pytest.approx(1e-6, rel=1e-9)
    assert slot.learning_rate(0.25) == pytest.approx(1e-3 - 0.25 * (1e-3 - 1e-6))


def test_every_step_has_the_rates_of_its_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[list[float]] = []
    epoch = SeparateSteps.epoch

    def note(self: SeparateSteps, plans: list[list[ChunkBatch]], rows: list[list[float]]) -> torch.Tensor:
        rates.extend(rows)
        return epoch(self, plans, rows)

    monkeypatch.setattr(SeparateSteps, "epoch", note)
    slow = replace(TRIAL, learning_rate=1e-4)
    first, second = run(array_of([TRIAL, slow]))
    steps = len(rates)
    assert steps == 4 * len(TRAIN.halves)
    for column, start in enumerate((1e-3, 1e-4)):
        expected = [start + (1e-6 - start) * step / steps for step in range(steps)]
        np.testing.assert_allclose([row[column] for row in rates], expected, rtol=1e-9)
    for validations in (first, second):
        assert validations[-1].metrics["learning_rate"] == pytest.approx(1e-6, rel=1e-9)


def test_optimiser_moves_every_slot_at_its_own_rate() -> None:
    """The first step of Adam is the rate itself, wherever a gradient is far above eps."""
    slots = [Slot(TRIAL), Slot(TRIAL)]
    before = {name: value.clone() for name, value in slots[0].network.named_parameters()}
    stack = TrainingStack([slots], CPU)
    stack.rates.copy_(torch.tensor([1e-3, 2e-3]))
    stack.step(loaded([0, 1], [10, 30]))
    stack.write_back(1, 1)
    for slot, rate in zip(slots, (1e-3, 2e-3), strict=True):
        moved = (slot.network.mlp_1.weight - before["mlp_1.weight"]).abs()
        assert float(moved.detach().median()) == pytest.approx(rate, rel=0.01)


def spoiled(store: Store, value: float) -> Store:
    return replace(store, features=np.full_like(store.features, value))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_training_loss_that_is_no_number_stops_the_trial(value: float) -> None:
    array = array_of([TRIAL], train=spoiled(TRAIN, value))
    result = only(array.advance())
    assert isinstance(result, DivergedError) and "after epoch 1" in str(result)
    assert array.slots == []


def test_exploding_learning_rate_stops_the_trial() -> None:
    assert isinstance(only(array_of([replace(TRIAL, learning_rate=1e38)]).advance()), DivergedError)


def test_validation_that_is_no_number_stops_the_trial() -> None:
    result = only(array_of([TRIAL], valid=spoiled(VALID, float("nan"))).advance())
    assert isinstance(result, DivergedError) and "validation" in str(result)


def test_networks_are_scored_with_statistics_of_the_chunks_that_come_next() -> None:
    trained = array_of([TRIAL, OTHER])
    slots = list(trained.slots)
    trained.advance()
    batches = ChunkSampler(TRAIN, TRAINING.sampler, TRIAL.data_seed).epoch(2)
    half, start = (np.concatenate([getattr(batch, name) for batch in batches]) for name in ("half", "start"))
    chunks = loaded(half.tolist(), start.tolist())
    for slot in slots:
        with torch.no_grad():
            columns = slot.network.computation().temporal_cnn(chunks.features)[0]
        variance, mean = torch.var_mean(columns, dim=(1, 2), correction=0)
        torch.testing.assert_close(slot.network.norm.running_mean, mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(slot.network.norm.running_variance, variance, rtol=1e-4, atol=1e-5)


def test_training_in_bfloat16_keeps_weights_in_float32_and_stays_close() -> None:
    exact, rounded = array_of([TRIAL]), array_of([TRIAL], replace(TRAINING, precision="bfloat16"))
    (slot,) = rounded.slots
    ((*_, reference),), ((*_, last),) = run(exact), run(rounded)
    assert all(parameter.dtype == torch.float32 for parameter in slot.network.parameters())
    for name in ("train/segmentation_loss", "train/spotting_loss"):
        assert last.metrics[name] == pytest.approx(reference.metrics[name], rel=0.05)
        assert last.metrics[name] != reference.metrics[name]


def test_class_without_actions_in_the_validation_split_has_no_ap() -> None:
    valid = small_store([100, 70], [(0, 33, 0), (1, 35, 0)], split="valid")
    (validations,) = run(array_of([TRIAL], valid=valid))
    metrics = validations[-1].metrics
    assert "ap/class-0" in metrics and "ap/class-1" not in metrics
    assert metrics["average_map_present"] == metrics["ap/class-0"] == 2 * metrics["average_map"]

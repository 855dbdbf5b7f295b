from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from stores import small_store

from model.data.chunks import Chunks, load_chunks
from model.data.sampler import ChunkBatch, ChunkSampler, SamplerConfig
from model.data.store import Store
from model.encoding import Zones
from model.losses.complete import LossConfig
from model.networks.calf import NetworkConfig
from model.training import array
from model.training.array import DivergedError, Slot, TrainingArray, Validation
from model.training.checkpoint import load_checkpoint, save_checkpoint
from model.training.config import TrainingConfig, TrialConfig

CPU = torch.device("cpu")
TRAIN = small_store([130, 120, 60], [(0, 20, 0), (0, 60, 1), (0, 99, 0), (1, 50, 1), (2, 30, 0)])
VALID = small_store([100, 70], [(0, 33, 0), (0, 66, 1), (1, 35, 1)], split="valid")
NETWORK = NetworkConfig(
    input_size=6, classes=2, class_features=3, receptive_field_frames=8, chunk_frames=40, predictions=3
)
LOSS = LossConfig(zones=Zones(((-8.0, -4.0, 4.0, 8.0), (-6.0, -3.0, 10.0, 15.0))))
TRIAL = TrialConfig(network=NETWORK, loss=LOSS, seed=5)
OTHER = TrialConfig(
    network=replace(NETWORK, class_features=5, receptive_field_frames=13),
    loss=replace(LOSS, alpha2=2.0, lambda_seg=0.4, tau_max=0.8),
    seed=6,
)
TRAINING = TrainingConfig(
    epochs=4, validate_every=2, sampler=SamplerConfig(chunk_frames=40, margin_frames=8), data_seed=3
)


def array_of(
    trials: Sequence[TrialConfig],
    training: TrainingConfig = TRAINING,
    *,
    train: Store = TRAIN,
    valid: Store = VALID,
    epoch: int = 0,
) -> TrainingArray:
    return TrainingArray(trials, training, train=train, valid=valid, device=CPU, epoch=epoch)


def run(trials: TrainingArray) -> list[list[Validation]]:
    """Every trial's validations until the end."""
    rounds = []
    while trials.epoch < 4:
        rounds.append(trials.advance())
    return [list(column) for column in zip(*rounds, strict=True)]


def numbers(validations: list[Validation]) -> list[tuple[int, dict[str, float]]]:
    """What a validation says but for the clock."""
    return [
        (entry.epoch, {name: value for name, value in entry.metrics.items() if name != "chunks_per_s"})
        for entry in validations
    ]


def loaded(half: list[int], start: list[int]) -> Chunks:
    return load_chunks(
        TRAIN, ChunkBatch(np.array(half), np.array(start)), 40, device=CPU, dtype=torch.float32
    )


def same_weights(first: Slot, second: Slot) -> bool:
    ours, theirs = first.network.state_dict(), second.network.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("sampler", ["paper", "balanced"])
def test_two_runs_with_the_same_seeds_are_equal_to_the_last_bit(sampler) -> None:
    config = replace(TRAINING, sampler=replace(TRAINING.sampler, name=sampler, batch_size=4))
    first, second = array_of([TRIAL], config), array_of([TRIAL], config)
    assert numbers(run(first)[0]) == numbers(run(second)[0])
    assert same_weights(first.slots[0], second.slots[0])


def test_weights_and_chunks_have_seeds_of_their_own() -> None:
    base = numbers(run(array_of([TRIAL]))[0])
    assert numbers(run(array_of([replace(TRIAL, seed=6)]))[0]) != base
    assert numbers(run(array_of([TRIAL], replace(TRAINING, data_seed=4)))[0]) != base
    fresh, other_data = array_of([TRIAL]), array_of([TRIAL], replace(TRAINING, data_seed=4))
    assert same_weights(fresh.slots[0], other_data.slots[0])


def test_training_from_a_checkpoint_goes_on_as_if_never_stopped(tmp_path: Path) -> None:
    whole = array_of([TRIAL, OTHER])
    expected = run(whole)

    stopped = array_of([TRIAL, OTHER])
    stopped.advance()
    save_checkpoint(tmp_path / "last.pt", {"slots": [slot.state() for slot in stopped.slots]})
    resumed = array_of([TRIAL, OTHER], epoch=2)
    for slot, state in zip(resumed.slots, load_checkpoint(tmp_path / "last.pt")["slots"], strict=True):
        slot.load_state(state)

    for validations, slot, same, reference in zip(
        run(resumed), resumed.slots, whole.slots, expected, strict=True
    ):
        assert numbers(validations) == numbers(reference[1:])
        assert same_weights(slot, same)


def test_array_of_two_gives_each_trial_what_it_gets_alone() -> None:
    together = array_of([TRIAL, OTHER])
    validations = run(together)
    for index, trial in enumerate((TRIAL, OTHER)):
        alone = array_of([trial])
        assert numbers(run(alone)[0]) == numbers(validations[index])
        assert same_weights(alone.slots[0], together.slots[index])


def test_hyperparameters_do_not_change_which_chunks_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[int], list[int]]] = []

    def note(store: Store, batch: ChunkBatch, *args: int, **kwargs: object) -> object:
        seen.append((batch.half.tolist(), batch.start.tolist()))
        return load_chunks(store, batch, *args, **kwargs)

    monkeypatch.setattr(array, "load_chunks", note)
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


def test_learning_from_the_same_chunks_again_and_again_lowers_both_losses() -> None:
    slot, chunks = Slot(TRIAL, "float32", CPU), loaded([0, 0, 1, 2], [5, 45, 30, 10])
    losses = torch.stack([slot.step(chunks, 3e-3) for _ in range(30)])
    assert (losses[-1] < 0.7 * losses[0]).all()


def test_learning_rate_falls_linearly_from_first_to_last() -> None:
    slot = Slot(TRIAL, "float32", CPU)
    assert slot.learning_rate(0.0) == 1e-3
    assert slot.learning_rate(1.0) == pytest.approx(1e-6, rel=1e-9)
    assert slot.learning_rate(0.25) == pytest.approx(1e-3 - 0.25 * (1e-3 - 1e-6))


def test_optimiser_uses_the_rate_of_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    step = Slot.step

    def note(self: Slot, chunks: object, learning_rate: float) -> torch.Tensor:
        losses = step(self, chunks, learning_rate)
        rates.append(self.state()["optimizer"]["param_groups"][0]["lr"])
        return losses

    monkeypatch.setattr(Slot, "step", note)
    (validations,) = run(array_of([TRIAL]))
    steps = len(rates)
    assert steps == 4 * len(TRAIN.halves)
    expected = [1e-3 + (1e-6 - 1e-3) * step / steps for step in range(steps)]
    np.testing.assert_allclose(rates, expected, rtol=1e-9)
    assert validations[-1].metrics["learning_rate"] == pytest.approx(1e-6, rel=1e-9)


def spoiled(store: Store, value: float) -> Store:
    return replace(store, features=np.full_like(store.features, value))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_training_loss_that_is_no_number_stops_the_trial(value: float) -> None:
    with pytest.raises(DivergedError, match="after epoch 1"):
        array_of([TRIAL], train=spoiled(TRAIN, value)).advance()


def test_exploding_learning_rate_stops_the_trial() -> None:
    with pytest.raises(DivergedError):
        run(array_of([replace(TRIAL, learning_rate=1e38)]))


def test_validation_that_is_no_number_stops_the_trial() -> None:
    with pytest.raises(DivergedError, match="validation"):
        array_of([TRIAL], valid=spoiled(VALID, float("nan"))).advance()


def test_networks_are_scored_with_statistics_of_the_chunks_that_come_next() -> None:
    trained = array_of([TRIAL])
    trained.advance()
    network = trained.slots[0].network
    batches = ChunkSampler(TRAIN, TRAINING.sampler, TRAINING.data_seed).epoch(2)
    half, start = (np.concatenate([getattr(batch, name) for batch in batches]) for name in ("half", "start"))
    with torch.no_grad():
        columns = network.temporal_cnn(loaded(half.tolist(), start.tolist()).features)
    variance, mean = torch.var_mean(columns, dim=(1, 2), correction=0)
    torch.testing.assert_close(network.norm.running_mean, mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network.norm.running_variance, variance, rtol=1e-4, atol=1e-5)


def test_calibration_changes_running_statistics_alone() -> None:
    trained = array_of([TRIAL])
    trained.advance()
    slot = trained.slots[0]
    before = {name: value.clone() for name, value in slot.network.state_dict().items()}
    slot.calibrate(iter([loaded([0, 1], [3, 5])]))
    changed = {
        name for name, value in slot.network.state_dict().items() if not torch.equal(before[name], value)
    }
    assert changed == {"norm.running_mean", "norm.running_variance"}


def test_training_in_bfloat16_keeps_weights_in_float32_and_stays_close() -> None:
    exact, rounded = array_of([TRIAL]), array_of([TRIAL], replace(TRAINING, precision="bfloat16"))
    ((*_, reference),), ((*_, last),) = run(exact), run(rounded)
    assert all(parameter.dtype == torch.float32 for parameter in rounded.slots[0].network.parameters())
    for name in ("train/segmentation_loss", "train/spotting_loss"):
        assert last.metrics[name] == pytest.approx(reference.metrics[name], rel=0.05)
        assert last.metrics[name] != reference.metrics[name]


def test_trials_do_not_share_weights() -> None:
    twins = array_of([TRIAL, TRIAL])
    assert same_weights(*twins.slots)
    with torch.no_grad():
        twins.slots[0].network.mlp_1.weight.add_(1.0)
    assert not same_weights(*twins.slots)

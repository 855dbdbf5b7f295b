"""BMN's trainer: what decides a trial's numbers, how it goes on, and how it fails."""

import pickle
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tensors import same_weights
from training.boundary.videos import (
    CLASSES,
    CPU,
    OTHER,
    SIZES,
    TRAIN,
    TRAINING,
    TRIAL,
    VALID,
    array_of,
    made_split,
    numbers,
    run,
)

from model.data.activitynet.split import VideoSplit
from model.errors import ConfigError, DataError
from model.inference.proposals import (
    ProposalEvaluation,
    VideoBatch,
    VideoSource,
    evaluate_proposals,
    load_videos,
)
from model.losses.boundary import BoundaryLossConfig, BoundaryLosses
from model.losses.forms import TemLoss
from model.metrics.soft_nms import SoftNms, pair_segments
from model.training.boundary import throughput
from model.training.boundary.config import BoundaryTrainingConfig, BoundaryTrialConfig
from model.training.boundary.slot import BoundarySlot
from model.training.boundary.trainer import BoundaryArray
from model.training.checkpoint import load_checkpoint, save_checkpoint
from model.training.outcomes import OUT_OF_MEMORY, DivergedError, FailedError, Validation
from model.training.seeding import torch_stream


def evaluated(slot: BoundarySlot, valid: VideoSplit = VALID) -> ProposalEvaluation:
    return evaluate_proposals(
        slot.network,
        VideoSource(valid, torch.device("cpu")),
        slot.config.loss,
        nms=SoftNms(pair_segments(valid.positions, slot.config.network.longest), TRAINING.nms),
        batch_videos=4,
        precision="float32",
        draws=torch_stream(0, "test"),
    )


def auc_of(slot: BoundarySlot, valid: VideoSplit = VALID) -> float:
    return evaluated(slot, valid).score.auc / 100


def test_error_of_one_trial_leaves_the_others_their_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    array = array_of([TRIAL, replace(TRIAL, seed=9), replace(TRIAL, seed=10)])
    first, second, third = array.slots

    def fail(*_: object) -> None:
        raise ValueError("insufficient resources")

    monkeypatch.setattr(second, "step", fail)
    results = {outcome.slot: outcome.result for outcome in array.advance()}
    assert isinstance(results[first], Validation) and isinstance(results[third], Validation)
    assert str(results[second]) == "ValueError: insufficient resources"
    assert array.slots == [first, third]


class SmallMemory:
    """Stands in for a device that has no room for a step beside the videos, or never has."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, array: BoundaryArray, *, fits: bool) -> None:
        self.placed: list[tuple[BoundarySlot, torch.device]] = []
        videos, step, place = array._train, BoundarySlot.step, BoundarySlot.place
        videos._all = videos._copied()

        def small(slot: BoundarySlot, *given: Any) -> BoundaryLosses:
            losses = step(slot, *given)  # the weights have changed when the memory runs out
            if videos._all is not None or not fits:
                raise torch.AcceleratorError("CUDA error: out of memory")
            return losses

        def note(slot: BoundarySlot, device: torch.device) -> None:
            self.placed.append((slot, device))
            place(slot, device)

        monkeypatch.setattr(BoundarySlot, "step", small)
        monkeypatch.setattr(BoundarySlot, "place", note)


def test_trial_that_does_not_fit_beside_the_videos_trains_without_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected, notes = numbers(run(array_of([TRIAL]))[0]), list[str]()
    array = array_of([TRIAL, OTHER])
    array._on_note = notes.append
    SmallMemory(monkeypatch, array, fits=True)
    assert numbers(run(array)[0]) == expected
    assert len(notes) == 1 and "they stay in host memory" in notes[0]


def test_trials_leave_the_memory_of_the_device_to_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    array = array_of([TRIAL, OTHER])
    first, second = array.slots
    memory = SmallMemory(monkeypatch, array, fits=False)
    for outcome in array.advance():
        assert str(outcome.result) == OUT_OF_MEMORY
    assert [slot for slot, _ in memory.placed] == [first, first, first, second, second]
    assert memory.placed[2][1] == memory.placed[4][1] == torch.device("cpu")


def test_networks_longest_pair_limits_its_proposals() -> None:
    array = array_of([replace(TRIAL, network=replace(TRIAL.network, longest=3))])
    (slot,) = array.slots
    assert isinstance(array.advance()[0].result, Validation)
    for rows, video in zip(evaluated(slot).proposals, VALID.videos, strict=True):
        assert np.diff(rows[:, :2]).max() <= 3 / VALID.positions * video.covered_s + 1e-6


def test_training_resumes_from_a_checkpoint_as_if_never_stopped(tmp_path: Path) -> None:
    whole = array_of([TRIAL])
    (slot,) = whole.slots
    (expected,) = run(whole)

    stopped = array_of([TRIAL])
    for _ in range(2):
        stopped.advance()
    save_checkpoint(tmp_path / "last.pt", {"slot": stopped.slots[0].state()})
    resumed = array_of([replace(TRIAL, seed=9)])
    (again,) = resumed.slots
    again.load_state(load_checkpoint(tmp_path / "last.pt")["slot"])

    assert numbers(run(resumed)[0]) == numbers(expected[2:])
    assert same_weights(again, slot)


def test_a_state_stays_what_it_was_while_training_continues() -> None:
    array = array_of([TRIAL])
    (slot,) = array.slots
    array.advance()
    state, second = slot.state(), BoundarySlot(TRIAL)
    array.advance()
    second.load_state(state)
    assert not same_weights(second, slot)
    resumed = array_of([])
    resumed.slots = [second]
    resumed.advance()
    assert same_weights(second, slot)
    second.load_state(state)
    assert second.epoch == 1


def test_neighbours_do_not_matter() -> None:
    alone, together = array_of([TRIAL]), array_of([OTHER, TRIAL])
    (slot,), (_, beside) = alone.slots, together.slots
    (expected,) = run(alone)
    assert numbers(run(together)[1]) == numbers(expected)
    assert same_weights(beside, slot)


def test_a_trial_that_joins_late_is_what_it_is_alone() -> None:
    (expected,) = run(array_of([TRIAL]))
    array, late = array_of([OTHER]), BoundarySlot(TRIAL)
    array.advance()
    array.slots = [*array.slots, late]
    epochs = [[outcome.result.epoch for outcome in array.advance()] for _ in range(2)]
    assert epochs == [[2, 1], [3, 2]]
    array.slots = [late]
    assert numbers(run(array)[0]) == numbers(expected[2:])


def test_data_seed_and_epoch_alone_decide_what_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    load = VideoSource.load

    def note(videos: VideoSource, indices: list[int]) -> VideoBatch:
        if videos.split is TRAIN:
            seen.append(indices)
        return load(videos, indices)

    monkeypatch.setattr(VideoSource, "load", note)
    orders = []
    for trial in (TRIAL, OTHER, replace(TRIAL, data_seed=4)):
        seen.clear()
        run(array_of([trial], replace(TRAINING, epochs=2)))
        orders.append(seen.copy())
    first, second, other = orders
    assert [len(batch) for batch in first] == [8, 8, 4] * 2
    for epoch in (first[:3], first[3:]):
        assert sorted(index for batch in epoch for index in batch) == list(range(20))
    assert first[:3] != first[3:]
    assert second == first and other != first


def test_weights_have_a_seed_of_their_own() -> None:
    assert same_weights(BoundarySlot(TRIAL), BoundarySlot(replace(TRIAL, data_seed=8)))
    assert not same_weights(BoundarySlot(TRIAL), BoundarySlot(replace(TRIAL, seed=8)))


@pytest.mark.parametrize("fault", ["rate", "sizes"])
def test_a_trial_that_fails_does_so_alone(fault: str) -> None:
    wrong = replace(TRIAL, learning_rate=1e38, seed=1)
    if fault == "sizes":
        wrong = replace(TRIAL, network=replace(SIZES, positions=10))
    array = array_of([wrong, TRIAL])
    _, good = array.slots
    first, second = array.advance()
    assert isinstance(first.result, FailedError)
    assert isinstance(first.result, DivergedError) == (fault == "rate")
    assert ("after epoch 1" if fault == "rate" else "(positions, dims) (10, 16), got (20, 16)") in str(
        first.result
    )
    assert isinstance(second.result, Validation)
    assert array.slots == [good]
    assert numbers([second.result]) == numbers(run(array_of([TRIAL]))[0][:1])


def test_validation_that_is_no_number_stops_the_trial() -> None:
    spoilt = replace(VALID, features=np.full_like(VALID.features, np.nan))
    (outcome,) = array_of([TRIAL], valid=spoilt).advance()
    assert isinstance(outcome.result, DivergedError) and "validation after epoch 1" in str(outcome.result)


def test_validations_come_when_the_config_says_and_tell_all_metrics() -> None:
    array = array_of([TRIAL], replace(TRAINING, epochs=5, validate_every=2))
    (validations,) = run(array)
    assert [entry.epoch for entry in validations] == [2, 4, 5]
    assert [entry.metrics["learning_rate"] for entry in validations] == pytest.approx([1e-3, 1e-4, 1e-5])
    parts = ("tem_loss", "regression_loss", "classification_loss")
    scores = {"auc", "average_map", *(f"ar@{number}" for number in (1, 5, 10, 100))}
    losses = {f"{split}/{part}" for split in ("train", "valid") for part in parts}
    assert validations[0].metrics.keys() == scores | losses | {"learning_rate", "videos_per_s"}
    assert all(0 <= validations[0].metrics[name] <= 1 for name in scores)
    assert validations[0].metrics["ar@100"] > validations[0].metrics["auc"] > 0
    without = replace(VALID, class_scores=None)
    (outcome,) = array_of([TRIAL], valid=without).advance()
    assert isinstance(outcome.result, Validation) and "average_map" not in outcome.result.metrics


@pytest.mark.parametrize("tem_loss", ["bmn", "context-aware"])
def test_both_losses_learn_to_propose_unseen_activities(tem_loss: TemLoss) -> None:
    loss = BoundaryLossConfig(tem_loss=tem_loss, k1_positions=-3.0)
    trial = replace(TRIAL, loss=loss, learning_rate=1e-2, rate_drop=1.0)
    train, valid = made_split("training", 64), made_split("validation", 32)
    array = array_of([trial], replace(TRAINING, epochs=6, validate_every=6), train=train, valid=valid)
    untrained = auc_of(array.slots[0], valid)
    ((validation,),) = run(array)
    assert validation.metrics["auc"] > untrained + 0.1


def test_the_best_validation_need_not_be_the_last_and_its_state_is_what_was_scored() -> None:
    """After eight good epochs the trial learns from features of the wrong sign, and gets worse."""
    trial = replace(TRIAL, learning_rate=1e-2, rate_drop=1.0)
    slot = BoundarySlot(trial)
    kept = []
    for epochs, train in ((8, TRAIN), (24, replace(TRAIN, features=-TRAIN.features))):
        array = array_of([], replace(TRAINING, epochs=epochs, validate_every=epochs // 2), train=train)
        array.slots = [slot]
        for _ in range(2):
            (outcome,) = array.advance()
            assert isinstance(outcome.result, Validation)
            kept.append((outcome.result.metrics["auc"], outcome.result.epoch, slot.state()))
    best_auc, best_epoch, state = max(kept, key=lambda entry: entry[0])
    last_auc, last_epoch, _ = kept[-1]
    assert best_epoch <= 8 < last_epoch == 24
    assert last_auc < best_auc - 0.05
    again = BoundarySlot(trial)
    again.load_state(state)
    assert auc_of(again) == pytest.approx(best_auc, abs=1e-6)
    assert auc_of(slot) == pytest.approx(last_auc, abs=1e-6)


def test_speed_on_a_gpu_is_the_best_of_whole_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """With two videos a GPU waits for launches, and other work slows single steps down."""
    seen, now_s = list[int](), iter(np.cumsum([0.0, 9.0, 0.0, 0.5, 0.0, 2.0, *[1.0] * 6]))

    def work(owner: object, batch: VideoBatch | torch.Tensor, *_: object) -> SimpleNamespace:
        seen.append(len(batch.features if isinstance(batch, VideoBatch) else batch))
        return SimpleNamespace(total=torch.zeros(()), overlap=torch.zeros(()))

    # There is no such device here.
    monkeypatch.setattr(BoundarySlot, "place", lambda slot, device: None)
    monkeypatch.setattr(throughput, "load_videos", lambda split, rows, _: load_videos(split, rows, CPU))
    monkeypatch.setattr(throughput, "computing", lambda precision, device: nullcontext())
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=lambda: next(now_s)))
    monkeypatch.setattr(throughput, "predict", work)
    monkeypatch.setattr(BoundarySlot, "step", work)
    speed = throughput.measure_speed(TRIAL, TRAINING, TRAIN, torch.device("cuda"))
    assert seen == [TRAINING.batch_videos] * 8, "a warm-up and three timings each"
    assert speed.training == TRAINING.batch_videos / 0.5


def test_training_in_bfloat16_keeps_weights_in_float32_and_stays_close() -> None:
    ((*_, exact),), rounded = (
        run(array_of([TRIAL])),
        array_of([TRIAL], replace(TRAINING, precision="bfloat16")),
    )
    (slot,) = rounded.slots
    ((*_, last),) = run(rounded)
    assert all(parameter.dtype == torch.float32 for parameter in slot.network.parameters())
    assert numbers([last]) != numbers([exact])
    for name in ("train/tem_loss", "train/classification_loss"):
        assert last.metrics[name] == pytest.approx(exact.metrics[name], rel=0.02)


def test_settings_are_the_published_ones_and_travel_between_processes() -> None:
    trial, training = BoundaryTrialConfig(), BoundaryTrainingConfig()
    assert [trial.learning_rate_of(epoch) for epoch in range(9)] == pytest.approx([1e-3] * 7 + [1e-4] * 2)
    assert (trial.weight_decay, training.epochs, training.batch_videos) == (1e-4, 9, 16)
    assert pickle.loads(pickle.dumps((trial, training))) == (trial, training)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"rate_drop": 0.0}, "rate_drop"),
        ({"rate_drop_epochs": 0}, "rate_drop_epochs"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"epochs": 0}, "epochs"),
        ({"batch_videos": 0}, "batch_videos"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, float], words: str) -> None:
    kind = BoundaryTrainingConfig if words in ("epochs", "batch_videos") else BoundaryTrialConfig
    with pytest.raises(ConfigError, match=words):
        kind(**change)


def test_splits_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(DataError, match="10 videos, positions, dims"):
        replace(VALID, features=VALID.features[1:])
    with pytest.raises(DataError, match="10 videos, 2 classes"):
        replace(VALID, classes=CLASSES[:2])
    with pytest.raises(DataError, match="class scores are missing for the classes of activities: class 00"):
        replace(VALID, classes=("a", "b", "c"))
    with pytest.raises(DataError, match="found none in 1 videos"):
        idle = replace(VALID.videos[0], segments_s=np.empty((0, 2)), labels=())
        VideoSplit((idle,), VALID.features[:1])

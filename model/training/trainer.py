"""Trainer of an array: trains several trials together on the same chunks; one trial is an array of one."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TypeVar

import torch

from model.data.chunks import ChunkSource
from model.data.sampler import ChunkSampler
from model.data.stores.store import Store
from model.inference.evaluation import Evaluation, evaluate
from model.memory import free_memory, unless_out_of_memory
from model.networks.stack import Stack, StatisticsEstimate, group_for_device
from model.precision import compute_dtype, computing
from model.training.config import TrainingConfig
from model.training.outcomes import OUT_OF_MEMORY, DivergedError, FailedError, Outcome, Validation
from model.training.recorder import Recorder, ignore_note
from model.training.slot import Slot
from model.training.steps import Steps, make_steps

CALIBRATION_CHUNKS = 512
"""Number of training chunks for the estimate of batch statistics before a validation."""

_TRAINING, _VALIDATION = "training", "validation"
"""Kinds of work, each with its own largest number of slots at once."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Losses:
    """Means over the training chunks of a slot's last epoch."""

    segmentation: float
    spotting: float


class TrainingArray:
    """Array of slots that are trained on the same chunks; each is scored at its validation points.

    Slots join and leave between two calls of ``advance``, each at its own epoch. Slots with the same data
    seed and epoch see the same chunks; they are a cohort. The result of a slot does not depend on the other
    slots, up to rounding.
    """

    def __init__(
        self,
        training: TrainingConfig,
        *,
        train: Store,
        valid: Store,
        device: torch.device,
        on_note: Callable[[str], None] = ignore_note,
    ) -> None:
        """Set up an array without slots.

        Args:
            training: Settings that all slots share.
            train: Training split.
            valid: Validation split.
            device: Device to train on.
            on_note: Gets messages for the user, such as about a device whose memory is too small for all
                slots.
        """
        self.training = training
        self.slots: list[Slot] = []
        self._train, self._valid, self._device, self._on_note = train, valid, device, on_note
        dtype, frames = compute_dtype(training.precision), training.sampler.chunk_frames
        self._chunks = ChunkSource(train, frames, device=device, dtype=dtype)
        self._valid_chunks = ChunkSource(valid, frames, device=device, dtype=dtype)
        self._samplers: dict[int, ChunkSampler] = {}
        self._most: dict[str, int] = {}
        self._kept: tuple[list[list[Slot]], Steps] | None = None
        self._recorder = Recorder(on_note)
        self._spent_s: dict[Slot, float] = {}
        """Seconds of each slot since its last validation."""

    def advance(self) -> list[Outcome[Slot]]:
        """Train all slots to the earliest next validation, and validate the slots that are due.

        Slots that fail leave the array.
        """
        with computing(self.training.precision, self._device):
            return self._advance()

    def _advance(self) -> list[Outcome[Slot]]:
        started = time.perf_counter()
        epochs = min(self.training.next_validation(slot.epoch) - slot.epoch for slot in self.slots)
        trained = self._in_parts(self.slots, lambda part: self._train_part(part, epochs), _TRAINING)
        chunks = epochs * sum(self._sampler(slot).chunks_per_epoch for slot in self.slots)
        speed = chunks / (time.perf_counter() - started)
        due = [slot for slot in self.slots if isinstance(trained[slot], _Losses) and self._is_due(slot)]
        scored = self._in_parts(due, self._validate_part, _VALIDATION)
        share_s = (time.perf_counter() - started) / len(self.slots)
        self._spent_s = {slot: self._spent_s.get(slot, 0.0) + share_s for slot in self.slots}
        outcomes: list[Outcome[Slot]] = []
        for slot in self.slots:
            losses, evaluation = trained[slot], scored.get(slot)
            if isinstance(losses, FailedError):
                outcomes.append(Outcome(slot, losses))
            elif isinstance(evaluation, FailedError):
                outcomes.append(Outcome(slot, evaluation))
            elif evaluation is not None:
                metrics = self._metrics(slot, losses, evaluation, speed)
                outcomes.append(Outcome(slot, _validation(slot, metrics, self._spent_s.pop(slot))))
        failed = {outcome.slot for outcome in outcomes if isinstance(outcome.result, FailedError)}
        self.slots = [slot for slot in self.slots if slot not in failed]
        return outcomes

    def _is_due(self, slot: Slot) -> bool:
        return slot.epoch == self.training.next_validation(slot.epoch - 1)

    def _sampler(self, slot: Slot) -> ChunkSampler:
        seed = slot.config.data_seed
        if seed not in self._samplers:
            self._samplers[seed] = ChunkSampler(self._train, self.training.sampler, seed)
        return self._samplers[seed]

    def _in_parts(
        self, slots: Sequence[Slot], work: Callable[[list[Slot]], Mapping[Slot, T]], kind: str
    ) -> dict[Slot, T | FailedError]:
        """Do ``work`` of a kind on as many slots at once as the device's memory holds."""
        left, done = sorted(slots, key=_cohort_key), dict[Slot, T | FailedError]()
        while left:
            part = left[: self._most.get(kind)]
            results = unless_out_of_memory(partial(work, part))
            if results is not None:
                done.update(results)
                left = left[len(part) :]
            elif self._has_released_steps():
                continue
            elif len(part) > 1:
                self._most[kind] = len(part) // 2
                self._on_note(
                    f"the device's memory is too small for the {kind} of all trials of an array: "
                    f"from now on, {self._most[kind]} at once"
                )
            else:
                done[part[0]] = FailedError(OUT_OF_MEMORY)
                left = left[1:]
        return done

    def _has_released_steps(self) -> bool:
        """Release the memory of kept training steps, if there are any, and return whether there were."""
        kept, self._kept = self._kept, None
        if kept is None:
            return False
        del kept
        free_memory()
        return True

    def _steps_of(self, cohorts: list[list[Slot]]) -> Steps:
        """Return the steps that trained the same slots last, with their recordings, or create new ones."""
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] == cohorts:
            kept[1].read_slots()
            return kept[1]
        del kept  # its memory is free before the new steps take theirs
        return make_steps(cohorts, self._chunks, self._device, self._recorder)

    def _train_part(self, slots: list[Slot], epochs: int) -> dict[Slot, _Losses | FailedError]:
        """Train slots for some epochs; all change together at the end."""
        cohorts = [list(cohort) for _, cohort in groupby(slots, _cohort_key)]
        training, steps = self._steps_of(cohorts), 0
        failures: dict[Slot, FailedError] = {}
        means: list[list[float]] = []
        for epoch in range(epochs):
            plans = [self._sampler(cohort[0]).epoch(cohort[0].epoch + epoch) for cohort in cohorts]
            means = training.epoch(plans, self._rates(slots, epoch, len(plans[0]))).T.tolist()
            self._chunks.release()
            steps += len(plans[0])
            for slot, losses in zip(slots, means, strict=True):
                if slot not in failures and not all(map(math.isfinite, losses)):
                    message = f"training loss is {losses} after epoch {slot.epoch + epoch + 1}"
                    failures[slot] = DivergedError(message)
            if len(failures) == len(slots):
                break
        training.write_back(epochs, steps)
        self._kept = cohorts, training
        return {
            slot: failures.get(slot) or _Losses(*losses) for slot, losses in zip(slots, means, strict=True)
        }

    def _rates(self, slots: list[Slot], epoch: int, steps: int) -> list[list[float]]:
        """Learning rates of the steps of an epoch, one row per step and one number per slot."""
        return [
            [slot.learning_rate((slot.epoch + epoch + step / steps) / self.training.epochs) for slot in slots]
            for step in range(steps)
        ]

    def _validate_part(self, slots: list[Slot]) -> dict[Slot, Evaluation]:
        for _, cohort in groupby(slots, _cohort_key):
            self._calibrate(list(cohort))
        evaluations = evaluate(
            [slot.network for slot in slots],
            self._valid_chunks,
            [slot.config.loss for slot in slots],
            device=self._device,
            nms_window_s=self.training.nms_window_s,
            tolerances_s=self.training.tolerances_s,
        )
        return dict(zip(slots, evaluations, strict=True))

    @torch.no_grad()
    def _calibrate(self, cohort: list[Slot]) -> None:
        """Estimate the running statistics of the normalisation from the first chunks of the next epoch.

        Nothing happens for trials that use running averages.
        """
        if cohort[0].config.network.norm_momentum is not None:
            return
        groups = group_for_device([slot.network for slot in cohort], self._device)
        stacks = [Stack(group, self._device).forward for group in groups]
        estimates, seen = [StatisticsEstimate() for _ in stacks], 0
        for batch in self._sampler(cohort[0]).epoch(cohort[0].epoch):
            features = self._chunks.load([batch]).features
            for stack, estimate in zip(stacks, estimates, strict=True):
                estimate.add(stack.statistics(stack.temporal_cnn(features), None), len(batch))
            seen += len(batch)
            if seen >= CALIBRATION_CHUNKS:
                break
        for group, estimate in zip(groups, estimates, strict=True):
            for network, mean, variance in zip(group, *estimate.result(), strict=True):
                network.norm.running_mean.copy_(mean)
                network.norm.running_variance.copy_(variance)

    def _metrics(self, slot: Slot, losses: _Losses, evaluation: Evaluation, speed: float) -> dict[str, float]:
        return {
            **evaluation.score.by_name(self._valid.classes),
            "valid/segmentation_loss": evaluation.segmentation_loss,
            "valid/spotting_loss": evaluation.spotting_loss,
            "train/segmentation_loss": losses.segmentation,
            "train/spotting_loss": losses.spotting,
            "learning_rate": slot.learning_rate(slot.epoch / self.training.epochs),
            "chunks_per_s": speed,
        }


def _validation(slot: Slot, metrics: dict[str, float], duration_s: float) -> Validation | DivergedError:
    if not all(math.isfinite(value) for value in metrics.values()):
        return DivergedError(f"validation after epoch {slot.epoch} gives NaN or infinity")
    return Validation(slot.epoch, metrics, duration_s)


def _cohort_key(slot: Slot) -> tuple[int, int]:
    return slot.config.data_seed, slot.epoch

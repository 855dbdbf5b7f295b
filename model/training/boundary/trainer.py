"""Trainer of an array of boundary-matching networks: its trials train in turn on the same batches."""

import math
import time
from collections.abc import Callable, Iterator

import torch

from model.data.activitynet.split import VideoSplit
from model.inference.proposals import MeanLosses, ProposalEvaluation, VideoSource, evaluate_proposals
from model.memory import free_memory, unless_out_of_memory
from model.metrics.soft_nms import SoftNms, pair_segments
from model.precision import computing
from model.training.boundary.config import BoundaryTrainingConfig
from model.training.boundary.slot import BoundarySlot
from model.training.outcomes import (
    OUT_OF_MEMORY,
    DivergedError,
    FailedError,
    Outcome,
    Validation,
    failure_of,
)
from model.training.recorder import ignore_note
from model.training.seeding import torch_stream

AVERAGE_NUMBERS = (1, 5, 10, 100)
"""Average numbers of proposals per video at which recall is reported, as in Table 3."""


class BoundaryArray:
    """Array of slots that are trained in turn; each is scored at its validation points.

    Slots join and leave between two calls of ``advance``, each at its own epoch. Slots with the same data
    seed and epoch see the same batches. The result of a slot does not depend on the other slots.
    """

    def __init__(
        self,
        training: BoundaryTrainingConfig,
        *,
        train: VideoSplit,
        valid: VideoSplit,
        device: torch.device,
        on_note: Callable[[str], None] = ignore_note,
    ) -> None:
        """Set up an array without slots.

        Args:
            training: Settings that all slots share.
            train: Training split.
            valid: Validation split; if it has class scores, the metrics include ``average_map``.
            device: Device to train on.
            on_note: Gets messages for the user, such as about a device whose memory is too small.
        """
        self.training, self._on_note = training, on_note
        self.slots: list[BoundarySlot] = []
        self._train, self._valid, self._device = (
            VideoSource(train, device),
            VideoSource(valid, device),
            device,
        )
        self._nms: dict[int | None, SoftNms] = {}
        """Length of the longest proposal -> suppression."""

    def advance(self) -> list[Outcome[BoundarySlot]]:
        """Train every slot to its next validation and validate it; slots that fail leave the array."""
        with computing(self.training.precision, self._device):
            outcomes = [Outcome(slot, self._result(slot)) for slot in self.slots]
        self.slots = [outcome.slot for outcome in outcomes if isinstance(outcome.result, Validation)]
        return outcomes

    def _result(self, slot: BoundarySlot) -> Validation | FailedError:
        try:
            return self._in_memory(slot) or FailedError(OUT_OF_MEMORY)
        except Exception as error:  # of this trial: the others train on
            return failure_of(error)

    def _in_memory(self, slot: BoundarySlot) -> Validation | None:
        """Train and validate a slot, if need be without data on the device; None if it has too little memory.

        Afterwards, the memory of the device is free for the next slot.
        """
        before = slot.state()
        try:
            reached = unless_out_of_memory(lambda: self._to_validation(slot))
            if reached is None and self._has_released_videos():
                slot.load_state(before)
                reached = unless_out_of_memory(lambda: self._to_validation(slot))
            return reached
        finally:
            slot.place(torch.device("cpu"))

    def _has_released_videos(self) -> bool:
        """Release the videos on the device, if there are any, and return whether there were."""
        if not any([videos.release() for videos in (self._train, self._valid)]):
            return False
        free_memory()
        self._on_note(
            "the device's memory is too small for a trial beside the videos: "
            "from now on, they stay in host memory, and the training is slower"
        )
        return True

    def _to_validation(self, slot: BoundarySlot) -> Validation:
        self._check_sizes(slot)
        started = time.perf_counter()
        slot.place(self._device)
        epochs = self.training.next_validation(slot.epoch) - slot.epoch
        for _ in range(epochs):
            losses = self._train_epoch(slot)
        speed = epochs * len(self._train.split.videos) / (time.perf_counter() - started)
        metrics = {
            **_scores(self._evaluate(slot)),
            **{f"train/{name}": value for name, value in losses.items()},
            "learning_rate": slot.config.learning_rate_of(slot.epoch - 1),
            "videos_per_s": speed,
        }
        if not all(map(math.isfinite, metrics.values())):
            raise DivergedError(f"validation after epoch {slot.epoch} gives NaN or infinity")
        return Validation(slot.epoch, metrics, time.perf_counter() - started)

    def _check_sizes(self, slot: BoundarySlot) -> None:
        wanted = slot.config.network.positions, slot.config.network.input_size
        for split in (self._train.split, self._valid.split):
            found = split.positions, split.dims
            if found != wanted:
                raise FailedError(f"expected features of (positions, dims) {wanted}, got {found}")

    def _train_epoch(self, slot: BoundarySlot) -> dict[str, float]:
        """Means of the losses by name.

        Raises:
            DivergedError: One of them is no number.
        """
        losses = MeanLosses()
        draws = torch_stream(slot.config.data_seed, f"pairs of epoch {slot.epoch}")
        for indices in self._batches(slot):
            batch = self._train.load(indices)
            losses.add(slot.step(batch, draws, self.training.precision), len(indices))
        slot.epoch += 1
        means = losses.by_name()
        if not all(map(math.isfinite, means.values())):
            raise DivergedError(f"training loss is {list(means.values())} after epoch {slot.epoch}")
        return means

    def _batches(self, slot: BoundarySlot) -> Iterator[list[int]]:
        """Yield the videos of each step. They depend only on data seed and epoch."""
        generator = torch_stream(slot.config.data_seed, f"videos of epoch {slot.epoch}")
        order = torch.randperm(len(self._train.split.videos), generator=generator).tolist()
        for first in range(0, len(order), self.training.batch_videos):
            yield order[first : first + self.training.batch_videos]

    def _evaluate(self, slot: BoundarySlot) -> ProposalEvaluation:
        longest = slot.config.network.longest
        if longest not in self._nms:
            segments = pair_segments(self._valid.split.positions, longest)
            self._nms[longest] = SoftNms(segments, self.training.nms)
        return evaluate_proposals(
            slot.network,
            self._valid,
            slot.config.loss,
            nms=self._nms[longest],
            batch_videos=self.training.batch_videos,
            precision=self.training.precision,
            draws=torch_stream(slot.config.data_seed, "pairs of validation"),
        )


def _scores(evaluation: ProposalEvaluation) -> dict[str, float]:
    """Scores in [0, 1] and losses by name."""
    recall = evaluation.score.average_recall_at
    detection = {} if evaluation.average_map is None else {"average_map": evaluation.average_map / 100.0}
    return {
        "auc": evaluation.score.auc / 100.0,
        **{f"ar@{number}": recall(number) / 100.0 for number in AVERAGE_NUMBERS},
        **detection,
        **{f"valid/{name}": value for name, value in evaluation.losses.items()},
    }

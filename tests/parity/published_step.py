"""One training step as the published codes take it, taken by the trainer of this project.

The codes sum their losses over a batch and weigh the sum of the segmentation loss; the trainer takes means.
With B chunks their loss is B times ours when lambda_seg is their weight times C N_F, and Adam takes the same
step when its eps is divided by B as well.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from model.data.chunks import Chunks
from model.encoding import Zones, spotting_targets
from model.losses.complete import LossConfig, StackLoss
from model.losses.forms import SegmentationForm
from model.networks.calf import CalfNetwork
from model.networks.calf_config import NetworkConfig, Predictions
from model.networks.forward import StackForward, Statistics
from model.timeline import NO_FUTURE, NO_PAST
from model.training.config import TrialConfig
from model.training.slot import Slot
from model.training.training_stack import TrainingStack

CPU = torch.device("cpu")
Convert = Callable[[Mapping[str, torch.Tensor]], CalfNetwork]


@dataclass(frozen=True)
class Published:
    """What a published code trains on and how."""

    features: torch.Tensor
    """(batch, frames, dims), like all that they hold."""
    shift: torch.Tensor
    zones: np.ndarray
    segmentation_weight: float
    form: SegmentationForm
    adam_eps: float
    calls_distance_its_score: bool = False
    """The re-release gives its loss the network's output, one less the score of the paper."""

    def chunks(self) -> Chunks:
        """Distances to actions that encode as the given shifts: to one action each, before or behind."""
        shift = self.shift.transpose(0, 1).to(torch.int32)
        return Chunks(
            features=self.features.transpose(0, 1).contiguous()[None],
            past=torch.where(shift >= 0, shift, NO_PAST)[None],
            future=torch.where(shift < 0, shift, NO_FUTURE)[None],
            inside=torch.ones(1, *shift.shape[:2], dtype=torch.bool),
        )

    @property
    def batch(self) -> int:
        return len(self.shift)

    @property
    def elements(self) -> int:
        """C N_F: what a mean divides by and a sum does not."""
        return self.shift[0].numel()

    def loss(self) -> LossConfig:
        rows = tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in self.zones.T)
        return LossConfig(
            zones=Zones(rows), lambda_seg=self.segmentation_weight * self.elements, form=self.form
        )


@dataclass(frozen=True)
class Losses:
    """Summed over the batch, as the published codes report them."""

    segmentation: float
    spotting: float
    total: float


@dataclass(frozen=True)
class Step:
    """What one training step leaves."""

    network: CalfNetwork
    losses: Losses
    gradients: dict[str, torch.Tensor]
    """Of the published loss, by our names."""


def targets_of(published: Published, config: NetworkConfig) -> torch.Tensor:
    """Rows (presence, location, one-hot class) that the trainer makes of the chunks."""
    is_action = published.chunks().past[0] == 0
    is_action[: config.edge_frames] = False
    is_action[len(is_action) - config.edge_frames :] = False
    return target_rows(is_action, config.predictions)


def target_rows(is_action: torch.Tensor, predictions: int) -> torch.Tensor:
    """Targets as the published codes hold them: presence, location and one-hot class, zeros in padding."""
    targets = spotting_targets(is_action, predictions)
    one_hot = functional.one_hot(targets.class_index, is_action.shape[-1])
    presence = targets.is_action[..., None]
    return torch.cat([presence, targets.location[..., None], one_hot * presence], dim=-1)


def losses_in_evaluation(network: CalfNetwork, published: Published) -> Losses:
    chunks = published.chunks()
    with torch.no_grad():
        predictions = network.computation()(chunks.features, network.running_statistics())
    losses = StackLoss([published.loss()], [network.config.edge_frames], CPU)(predictions, chunks)
    return _summed(losses.segmentation, losses.spotting, published)


def take_step(network: CalfNetwork, published: Published) -> Step:
    """Load the network into a trial of ours and let it learn from one batch at the paper's learning rate."""
    trial = TrialConfig(
        network=network.config, loss=published.loss(), adam_eps=published.adam_eps / published.batch
    )
    slot = Slot(trial)
    slot.network.load_state_dict(network.state_dict())
    stack = TrainingStack([[slot]], CPU)
    if published.calls_distance_its_score:
        _call_distance_score(stack._stack.forward)
    stack.rates.fill_(trial.learning_rate)
    segmentation, spotting = stack.step(published.chunks())
    gradients = {
        name: published.batch * gradient
        for name, gradient in stack._stack.layout.read(stack.gradients, 0).items()
    }
    stack.write_back(1, 1)
    return Step(slot.network, _summed(segmentation, spotting, published), gradients)


def in_published_layout(
    tensors: Mapping[str, torch.Tensor], published: Mapping[str, torch.Tensor], convert: Convert
) -> dict[str, torch.Tensor]:
    """Our tensors under the published names, flat, as far as ``tensors`` has them.

    Every published weight is given a number and sent through ``convert``: the numbers say where it lands.
    """
    numbers, first = {}, 0
    for name, tensor in published.items():
        numbers[name] = torch.arange(first, first + tensor.numel()).reshape(tensor.shape)
        first += tensor.numel()
    assert first < 2**24, "float32 counts no farther"
    values = torch.full((first,), torch.nan)
    for name, number in (
        convert({name: tensor.float() for name, tensor in numbers.items()}).state_dict().items()
    ):
        if name in tensors:
            values[number.long().flatten()] = tensors[name].flatten()
    return {name: values[number.flatten()] for name, number in numbers.items()}


def _call_distance_score(forward: StackForward) -> None:
    """Let the loss, and it alone, take one less the score for the score."""
    learn = forward.learn

    def turned(features: torch.Tensor, present: None) -> tuple[Predictions, Statistics]:
        predictions, statistics = learn(features, present)
        return Predictions(1.0 - predictions.segmentation, predictions.spotting), statistics

    forward.learn = turned


def _summed(segmentation: torch.Tensor, spotting: torch.Tensor, published: Published) -> Losses:
    segmentation_sum = float(segmentation) * published.batch * published.elements
    spotting_sum = float(spotting) * published.batch
    total = published.segmentation_weight * segmentation_sum + spotting_sum
    return Losses(segmentation_sum, spotting_sum, total)

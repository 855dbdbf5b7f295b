"""Network of section 7.2: its weights and its computation."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from model.networks.calf_config import PYRAMID_OUTPUTS, NetworkConfig, Predictions
from model.networks.forward import StackForward, Statistics, glorot_bound, pad_taps
from model.networks.layers import pooled_frames


class CalfNetwork(nn.Module):
    """Context-aware network: predicts segmentation scores and spots of chunks of features (section 7.2).

    This module holds the weights; the computation is that of a stack of one network (``StackForward``).
    """

    def __init__(self, config: NetworkConfig, generator: torch.Generator) -> None:
        """Draw initial weights from ``generator``: Glorot uniform, zero biases, as in the original code."""
        super().__init__()
        self.config = config
        self.mlp_1 = nn.Linear(config.input_size, 128)
        self.mlp_2 = nn.Linear(128, 32)
        self.pyramid = nn.ParameterList(
            torch.empty(taps, 32, outputs)
            for taps, outputs in zip(config.kernel_lengths, PYRAMID_OUTPUTS, strict=True)
        )
        self.pyramid_bias = nn.Parameter(torch.zeros(sum(PYRAMID_OUTPUTS)))
        self.class_features = _Convolution(32 + sum(PYRAMID_OUTPUTS), config.columns)
        self.norm = _FrameNorm(config.chunk_frames)
        self.spot_1 = _Convolution(config.columns + config.classes, 32)
        self.spot_2 = _Convolution(32, 16)
        flat = 16 * pooled_frames(config.chunk_frames)
        self.place = nn.Linear(flat, 2 * config.predictions)
        self.classify = nn.Linear(flat, config.classes * config.predictions)
        self._draw_weights(generator)

    @torch.no_grad()
    def _draw_weights(self, generator: torch.Generator) -> None:
        for weight in self.parameters():
            if weight.dim() == 2:
                bound = glorot_bound(*weight.shape)
            elif weight.dim() == 3:
                bound = glorot_bound(weight.shape[0] * weight.shape[1], weight.shape[0] * weight.shape[2])
            else:
                continue
            weight.uniform_(-bound, bound, generator=generator)
        for layer in (self.mlp_1, self.mlp_2, self.place, self.classify):
            layer.bias.zero_()

    def computation(self) -> StackForward:
        """Return the network as a stack of one; gradients flow back to its parameters."""
        weights = {name: value[None] for name, value in self.named_parameters() if "pyramid." not in name}
        weights["pyramid"] = pad_taps(list(self.pyramid), self.config.receptive_field_frames)[None]
        return StackForward([self.config], weights)

    def running_statistics(self) -> Statistics:
        """Return the statistics of the normalisation in evaluation mode."""
        return Statistics(self.norm.running_mean[None], self.norm.running_variance[None])

    def forward(self, features: Float[Tensor, "frames batch dims"]) -> Predictions:
        """Predict for chunks of N_F frames; training mode normalises with the batch's own statistics."""
        computation = self.computation()
        if self.training:
            predictions, _ = computation.learn(features[None], None)
        else:
            predictions = computation(features[None], self.running_statistics())
        return Predictions(predictions.segmentation[0], predictions.spotting[0])


class _Convolution(nn.Module):
    """Weights of a temporal convolution of three taps."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(3, channels, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))


class _FrameNorm(nn.Module):
    """Weights of the normalisation, and the statistics that it uses in evaluation."""

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(frames))
        self.bias = nn.Parameter(torch.zeros(frames))
        self.register_buffer("running_mean", torch.zeros(frames))
        self.register_buffer("running_variance", torch.ones(frames))

"""Straightforward implementation of the network of section 7.2, the baseline for speed.

It uses ordinary convolution layers over (batch, channel, frames, 1), like both published trainers. Its losses
are those of this project, which are faster than the published ones, so that speed-ups are underestimated.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.networks.calf import CalfNetwork
from model.networks.calf_config import PYRAMID_OUTPUTS, NetworkConfig, Predictions


class PlainNetwork(nn.Module):
    """Network with the sizes and outputs of ``CalfNetwork``, without optimisations."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        columns = config.classes * config.class_features
        self.mlp_1 = nn.Conv2d(1, 128, (1, config.input_size))
        self.mlp_2 = nn.Conv2d(128, 32, (1, 1))
        self.pyramid = nn.ModuleList(
            nn.Conv2d(32, outputs, (taps, 1))
            for taps, outputs in zip(config.kernel_lengths, PYRAMID_OUTPUTS, strict=True)
        )
        self.segment = nn.Conv2d(152, columns, (3, 1), padding=(1, 0))
        self.norm = nn.BatchNorm2d(config.chunk_frames, eps=config.norm_eps, momentum=0.01)
        self.pool = nn.MaxPool2d((3, 1), stride=(2, 1))
        self.spot_1 = nn.Conv2d(columns + config.classes, 32, (3, 1), padding=(1, 0))
        self.spot_2 = nn.Conv2d(32, 16, (3, 1), padding=(1, 0))
        flat = CalfNetwork(config, torch.Generator()).place.in_features
        self.place = nn.Linear(flat, 2 * config.predictions)
        self.classify = nn.Linear(flat, config.classes * config.predictions)

    def forward(self, features: Tensor) -> Predictions:
        """Predict from time-first chunks, as ``CalfNetwork`` does."""
        frames, batch, _ = features.shape
        config = self.config
        hidden = functional.relu(self.mlp_1(features.permute(1, 0, 2)[:, None]))
        hidden = functional.relu(self.mlp_2(hidden))
        parts = [hidden]
        for layer in self.pyramid:
            taps = layer.kernel_size[0]
            padded = functional.pad(hidden, (0, 0, (taps - 1) // 2, taps // 2))
            parts.append(functional.relu(layer(padded)))
        signal = self.segment(torch.cat(parts, dim=1))
        capsules = signal.permute(0, 2, 3, 1).reshape(batch, frames, config.class_features, config.classes)
        active = torch.sigmoid(self.norm(capsules))
        distance = torch.sqrt(torch.sum(torch.square(active - 0.5), dim=2) + 1e-12)
        score = 1.0 - distance * 2.0 / math.sqrt(config.class_features)
        spots = torch.cat([functional.relu(signal), score.permute(0, 2, 1)[..., None]], dim=1)
        spots = self.pool(spots)
        spots = self.pool(functional.relu(self.spot_1(spots)))
        spots = self.pool(functional.relu(self.spot_2(spots)))
        flat = spots.flatten(1)
        place = torch.sigmoid(self.place(flat)).view(batch, config.predictions, 2)
        classes = torch.softmax(self.classify(flat).view(batch, config.predictions, -1), dim=-1)
        return Predictions(score.permute(1, 0, 2), torch.cat([place, classes], dim=-1))

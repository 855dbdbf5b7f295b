"""Forward pass of many networks of section 7.2 at once: temporal CNN, segmentation and spotting module.

Networks of a stack may differ in f and r. Their weights are padded with zeros to the largest f and r. The
statistics of the normalisation and the distances in the cube are masked, so that every network computes what
it computes alone, up to rounding.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from model.networks.calf_config import NetworkConfig, Predictions
from model.networks.layers import (
    convolve_three_taps,
    frame_statistics,
    linear,
    max_pool,
    normalise_frames,
)
from model.networks.spectral import Transform, convolve, transform_for


@dataclass(frozen=True, slots=True)
class Statistics:
    """Mean and variance of every frame position before the normalisation."""

    mean: Float[Tensor, "slots frames"]
    variance: Float[Tensor, "slots frames"]


class StackForward:
    """Forward pass of a stack of networks."""

    def __init__(
        self, configs: Sequence[NetworkConfig], weights: Mapping[str, Tensor], cohorts: Sequence[int] = ()
    ) -> None:
        """Compute with ``weights``: slots first, padded to the largest f and r of ``configs``.

        Args:
            configs: Sizes of the networks.
            weights: Weights by their names in ``CalfNetwork``; the pyramid is one tensor (slots, taps, 32,
                120).
            cohorts: Numbers of consecutive networks that see the first batch of chunks, the second batch and
                so on; empty: all networks see the same batch.
        """
        self._configs, self._weights = configs, weights
        self._cohorts = list(cohorts) or [len(configs)]
        self._first = configs[0]
        device = weights["norm.weight"].device
        sizes = torch.tensor([config.class_features for config in configs], device=device)
        self._largest = max(config.class_features for config in configs)
        self._scale = 2.0 / sizes.float().sqrt()[:, None, None, None]
        self._transforms: set[Transform | None] = set()
        """What recordings of this pass read (see ``transform_for``)."""
        self._used: Tensor | None = None
        if any(config.class_features != self._largest for config in configs):
            used = torch.arange(self._largest, device=device) < sizes[:, None]
            self._used = used.float()[:, None, None, :, None]

    def temporal_cnn(
        self,
        features: Float[Tensor, "cohorts read_frames read_batch dims"],
        rows: Int[Tensor, "cohorts frames batch"] | None = None,
    ) -> Float[Tensor, "slots frames batch columns"]:
        """Compute MLP, pyramid and last convolution; columns are f features of C classes, class last.

        ``rows``: see ``Chunks``. The MLP works on single frames, and so on those of several chunks once.
        """
        hidden, weights = self.mlp(features), self._weights
        if rows is not None:
            hidden = self._chunks_of(hidden, rows)
        self._transforms.add(transform_for(hidden, weights["pyramid"]))
        pyramid = functional.relu(convolve(hidden, weights["pyramid"], weights["pyramid_bias"]))
        signal = torch.cat([hidden, pyramid], dim=-1)
        return convolve_three_taps(signal, weights["class_features.kernel"], weights["class_features.bias"])

    def _chunks_of(
        self, hidden: Float[Tensor, "slots read_frames 1 32"], rows: Int[Tensor, "cohorts frames batch"]
    ) -> Float[Tensor, "slots frames batch 32"]:
        """Put together the chunks of every network from the frames of its cohort."""
        slots, frames, _, channels = hidden.shape
        first = torch.arange(0, slots * frames, frames, device=rows.device)[:, None, None]
        places = first + torch.cat(
            [own.expand(count, -1, -1) for own, count in zip(rows.unbind(), self._cohorts, strict=True)]
        )
        return hidden.view(-1, channels).index_select(0, places.flatten()).view(*places.shape, channels)

    def mlp(
        self, features: Float[Tensor, "cohorts frames batch dims"]
    ) -> Float[Tensor, "slots frames batch 32"]:
        """Compute the first two layers; all networks of a cohort share one product for the first."""
        _, frames, batch, _ = features.shape
        weights = self._weights
        second = weights["mlp_2.weight"], weights["mlp_2.bias"]
        outputs, first = [], 0
        for chunks, count in zip(features, self._cohorts, strict=True):
            slots = slice(first, first + count)
            weight = weights["mlp_1.weight"][slots].to(chunks.dtype).flatten(0, 1)
            bias = weights["mlp_1.bias"][slots].to(chunks.dtype).flatten()
            hidden = functional.relu(functional.linear(chunks.flatten(0, 1), weight, bias))
            by_slot = hidden.view(frames * batch, count, -1).transpose(0, 1)
            outputs.append(linear(by_slot, second[0][slots], second[1][slots]))
            first += count
        joined = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
        return functional.relu(joined).view(len(self._configs), frames, batch, -1)

    def statistics(
        self,
        columns: Float[Tensor, "slots frames batch columns"],
        present: Float[Tensor, "slots batch"] | None,
    ) -> Statistics:
        """Compute the statistics of a batch without padding chunks, which are 0 in ``present``."""
        counted = None
        if self._used is not None:
            counted = self._used.expand(-1, -1, -1, -1, self._first.classes).flatten(3)
        if present is not None:
            counted = present[:, None, :, None] * (1.0 if counted is None else counted)
        return Statistics(*frame_statistics(columns.float(), counted))

    def segment(
        self, columns: Float[Tensor, "slots frames batch columns"], statistics: Statistics
    ) -> Float[Tensor, "slots frames batch classes"]:
        """Compute the score 1 - 2 d / sqrt(f), with d the distance of a class from the cube's centre."""
        normal = normalise_frames(
            columns.float(),
            statistics.mean,
            statistics.variance,
            self._weights["norm.weight"],
            self._weights["norm.bias"],
            eps=self._first.norm_eps,
        )
        centred = torch.sigmoid(normal).view(*normal.shape[:3], self._largest, -1) - 0.5
        if self._used is not None:
            centred = centred * self._used
        # At the centre itself the root has no slope: the floor keeps the gradient finite.
        distance = centred.square().sum(dim=3).clamp_min(1e-12).sqrt()
        # Rounding: a corner of the cube may come out 1e-7 too far.
        score: Tensor = (1.0 - distance * self._scale).clamp_min(0.0)
        return score

    def spot(
        self,
        columns: Float[Tensor, "slots frames batch columns"],
        segmentation: Float[Tensor, "slots frames batch classes"],
    ) -> Float[Tensor, "slots batch predictions values"]:
        """Compute the spotting module: three poolings, two convolutions and the two output layers."""
        weights = self._weights
        # ReLU and max-pooling commute: pooled first, there is half as much to join and to rectify.
        pooled = [max_pool(columns), max_pool(segmentation).to(columns.dtype)]
        signal = functional.relu(torch.cat(pooled, dim=-1))
        for layer in ("spot_1", "spot_2"):
            signal = convolve_three_taps(signal, weights[f"{layer}.kernel"], weights[f"{layer}.bias"])
            signal = functional.relu(max_pool(signal))
        flat = signal.permute(0, 2, 3, 1).flatten(2)
        place, classes = (
            linear(flat, weights[f"{layer}.weight"], weights[f"{layer}.bias"])
            .float()
            .view(*flat.shape[:2], self._first.predictions, -1)
            for layer in ("place", "classify")
        )
        return torch.cat([torch.sigmoid(place), torch.softmax(classes, dim=-1)], dim=-1)

    def __call__(
        self,
        features: Float[Tensor, "cohorts read_frames read_batch dims"],
        statistics: Statistics,
        rows: Int[Tensor, "cohorts frames batch"] | None = None,
    ) -> Predictions:
        """Predict for chunks of N_F frames, normalised with ``statistics``; for ``rows`` see ``Chunks``."""
        columns = self.temporal_cnn(features, rows)
        segmentation = self.segment(columns, statistics)
        return Predictions(segmentation, self.spot(columns, segmentation))

    def learn(
        self,
        features: Float[Tensor, "cohorts frames batch dims"],
        present: Float[Tensor, "slots batch"] | None,
    ) -> tuple[Predictions, Statistics]:
        """Predict with the batch's own statistics, as in training, and return both."""
        columns = self.temporal_cnn(features)
        statistics = self.statistics(columns, present)
        segmentation = self.segment(columns, statistics)
        return Predictions(segmentation, self.spot(columns, segmentation)), statistics


def pad_taps(
    kernels: Sequence[Float[Tensor, "_ channels _"]], taps: int
) -> Float[Tensor, "taps channels all_outputs"]:
    """Pad kernels with zeros to ``taps``, centred, and concatenate their outputs."""
    padded = []
    for kernel in kernels:
        before = first_tap(len(kernel), taps)
        padded.append(functional.pad(kernel, (0, 0, 0, 0, before, taps - len(kernel) - before)))
    return torch.cat(padded, dim=-1)


def first_tap(taps: int, longest: int) -> int:
    """Return the first index of a kernel of ``taps``, centred in one of ``longest`` taps."""
    return (longest - 1) // 2 - (taps - 1) // 2


def glorot_bound(fan_in: int, fan_out: int) -> float:
    """Return the bound of Glorot's uniform initialisation, in [-bound, bound]."""
    return math.sqrt(6.0 / (fan_in + fan_out))

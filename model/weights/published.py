"""Convert weights of the published codes to networks of this project.

The original code has a Keras file (HDF5), the PyTorch re-release a checkpoint of ``torch.save``. Both compute
the same network; they differ in the layout of the kernels and in the variance of the batch normalisation.
Sizes are read from the shapes of the weights.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.errors import ConfigError, DataError, Problem
from model.networks.calf import CalfNetwork
from model.networks.calf_config import PYRAMID_OUTPUTS, NetworkConfig

LEVELS = tuple(range(1, len(PYRAMID_OUTPUTS) + 1))
_POOLED_CHANNELS = 16
"""Channels that the last two layers of the spotting module read at every pooled frame."""


def from_keras(arrays: Mapping[str, npt.NDArray[Any]], *, source: str) -> CalfNetwork:
    """Convert the weights of the original code to a network.

    Args:
        arrays: ``conv1/kernel`` ... ``conv8/bias`` in the order of the layers (``conv3_1`` to ``conv3_4`` are
            the pyramid) and ``bn/gamma``, ``beta``, ``moving_mean``, ``moving_variance``. Kernels are (time,
            width, inputs, outputs).
        source: Name of the file for error messages.

    Raises:
        DataError: Weights are missing or do not fit together; all of them are listed.
    """
    # Files of other machines may have another byte order.
    tensors = {name: torch.tensor(np.asarray(array, np.float32)) for name, array in arrays.items()}
    read = _Reader(tensors, source)
    pyramid = {f"pyramid.{level - 1}": read(f"conv3_{level}/kernel", 4)[:, 0] for level in LEVELS}
    state = {
        "mlp_1.weight": read("conv1/kernel", 4)[0, :, 0].T,
        "mlp_2.weight": read("conv2/kernel", 4)[0, 0].T,
        **pyramid,
        "pyramid_bias": torch.cat([read(f"conv3_{level}/bias", 1) for level in LEVELS]),
        "class_features.kernel": read("conv4/kernel", 4)[:, 0],
        "spot_1.kernel": read("conv5/kernel", 4)[:, 0],
        "spot_2.kernel": read("conv6/kernel", 4)[:, 0],
        "place.weight": _channels_first(read("conv7/kernel", 4)[0, 0]),
        "classify.weight": _channels_first(read("conv8/kernel", 4)[0, 0]),
        **{ours: read(f"{theirs}/bias", 1) for ours, theirs in _KERAS_BIASES.items()},
        "norm.weight": read("bn/gamma", 1),
        "norm.bias": read("bn/beta", 1),
        "norm.running_mean": read("bn/moving_mean", 1),
        "norm.running_variance": read("bn/moving_variance", 1),
    }
    return _network(state, read, norm_unbiased=False)


def from_pytorch(arrays: Mapping[str, Tensor], *, source: str) -> CalfNetwork:
    """Convert the state dictionary of the re-release, with kernels (outputs, inputs, time, width).

    Raises:
        DataError: Weights are missing or do not fit together; all of them are listed.
    """
    read = _Reader(arrays, source)
    convolutions = {"class_features": "conv_seg", "spot_1": "conv_spot_1", "spot_2": "conv_spot_2"}
    state = {
        "mlp_1.weight": read("conv_1.weight", 4)[:, 0, 0],
        "mlp_2.weight": read("conv_2.weight", 4)[..., 0, 0],
        **{f"pyramid.{level - 1}": _time_first(read(f"conv_p_{level}.weight", 4)) for level in LEVELS},
        "pyramid_bias": torch.cat([read(f"conv_p_{level}.bias", 1) for level in LEVELS]),
        **{f"{ours}.kernel": _time_first(read(f"{name}.weight", 4)) for ours, name in convolutions.items()},
        "place.weight": read("conv_conf.weight", 4)[..., 0, 0],
        "classify.weight": read("conv_class.weight", 4)[..., 0, 0],
        **{ours: read(f"{theirs}.bias", 1) for ours, theirs in _PYTORCH_BIASES.items()},
        "norm.weight": read("batch_seg.weight", 1),
        "norm.bias": read("batch_seg.bias", 1),
        "norm.running_mean": read("batch_seg.running_mean", 1),
        "norm.running_variance": read("batch_seg.running_var", 1),
    }
    return _network(state, read, norm_unbiased=True)


_KERAS_BIASES = {
    "mlp_1.bias": "conv1",
    "mlp_2.bias": "conv2",
    "class_features.bias": "conv4",
    "spot_1.bias": "conv5",
    "spot_2.bias": "conv6",
    "place.bias": "conv7",
    "classify.bias": "conv8",
}
_PYTORCH_BIASES = {
    "mlp_1.bias": "conv_1",
    "mlp_2.bias": "conv_2",
    "class_features.bias": "conv_seg",
    "spot_1.bias": "conv_spot_1",
    "spot_2.bias": "conv_spot_2",
    "place.bias": "conv_conf",
    "classify.bias": "conv_class",
}


class _Reader:
    """Hands out arrays by name; what is missing or has another number of dimensions is remembered."""

    def __init__(self, arrays: Mapping[str, Tensor], source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self._arrays = arrays

    def __call__(self, name: str, dimensions: int) -> Tensor:
        """The array ``name`` as float32, or a stand-in of size 1 where it cannot be used."""
        array = self._arrays.get(name)
        if array is None:
            self.problems.append(Problem(self.source, name, "missing"))
        elif array.dim() != dimensions or not array.is_floating_point():
            found = f"{array.dtype} of shape {tuple(array.shape)}"
            message = f"expected floating-point numbers in {dimensions} dimensions, got {found}"
            self.problems.append(Problem(self.source, name, message))
        else:
            return array.float()
        return torch.ones([1] * dimensions)

    def raise_problems(self) -> None:
        """Raise one error that lists all problems so far, if there are any."""
        if self.problems:
            raise DataError("these are not the weights of a published network", self.problems)


def _time_first(kernel: Tensor) -> Tensor:
    return kernel[..., 0].permute(2, 1, 0)


def _channels_first(kernel: Tensor) -> Tensor:
    """Transpose (inputs, outputs) and flatten the inputs as (channel, time) instead of (time, channel)."""
    if len(kernel) % _POOLED_CHANNELS:
        return kernel.T
    return kernel.reshape(-1, _POOLED_CHANNELS, kernel.shape[1]).permute(2, 1, 0).flatten(1)


def _network(state: dict[str, Tensor], read: _Reader, *, norm_unbiased: bool) -> CalfNetwork:
    read.raise_problems()
    config = _config(state, read, norm_unbiased=norm_unbiased)
    network = CalfNetwork(config, torch.Generator())
    for name, expected in network.state_dict().items():
        if state[name].shape != expected.shape:
            message = f"expected shape {tuple(expected.shape)}, got {tuple(state[name].shape)}"
            read.problems.append(Problem(read.source, name, message))
        elif not bool(state[name].isfinite().all()):
            read.problems.append(Problem(read.source, name, "expected finite numbers"))
    read.raise_problems()
    network.load_state_dict(state)
    return network


def _config(state: dict[str, Tensor], read: _Reader, *, norm_unbiased: bool) -> NetworkConfig:
    predictions = len(state["place.bias"]) // 2
    classes = len(state["classify.bias"]) // max(predictions, 1)
    try:
        return NetworkConfig(
            input_size=state["mlp_1.weight"].shape[1],
            classes=classes,
            class_features=len(state["class_features.bias"]) // max(classes, 1),
            receptive_field_frames=max(len(state[f"pyramid.{level - 1}"]) for level in LEVELS),
            chunk_frames=len(state["norm.weight"]),
            predictions=predictions,
            norm_momentum=0.01,
            norm_unbiased=norm_unbiased,
        )
    except ConfigError as error:
        raise DataError(
            f"no network has weights of these sizes: {error.message}", file=read.source
        ) from error

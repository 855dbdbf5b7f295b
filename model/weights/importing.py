"""Import the weight files of the published codes."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy.typing as npt
import torch

from model.data.layout.description import LABELS, builtin_description
from model.errors import DataError
from model.networks.calf import CalfNetwork
from model.shell import shell_line
from model.timeline import FrameRate
from model.weights.published import LEVELS, from_keras, from_pytorch
from model.weights.trained import Origin, TrainedNetwork

_KERAS_ORDER = (
    "conv1",
    "conv2",
    *(f"conv3_{level}" for level in LEVELS),
    "conv4",
    "conv5",
    "conv6",
    "conv7",
    "conv8",
)
_PUBLISHED_CLASSES = {3: "soccernet-v1", 17: "soccernet-v2"}
_READABLE = "give the original code's .h5 file or the re-release's .pth.tar file"
_MAX_ARRAY_BYTES = 256 << 20
_FRAME_RATE = FrameRate(2.0)
"""Of all features that the published networks were trained on."""


def import_published(path: Path, classes: Sequence[str] | None = None) -> TrainedNetwork:
    """Import the original code's Keras file or a checkpoint of the PyTorch re-release.

    Args:
        path: HDF5 file of weights, or a file of ``torch.save`` with a state dictionary.
        classes: Class names in the order of the network. Default: those of SoccerNet-v1 for 3 classes and of
            SoccerNet-v2 for 17 classes.

    Raises:
        DataError: The file is of another kind, or its weights do not fit together; all problems are listed.
    """
    if not path.is_file():
        raise DataError(f"no such file of weights: {path}")
    origin: Origin
    if h5py.is_hdf5(path):
        network, origin = from_keras(_keras_arrays(path), source=str(path)), "published-2020"
    else:
        network, origin = from_pytorch(_pytorch_state(path), source=str(path)), "published-2021"
    names = tuple(classes) if classes is not None else _published_classes(network, path)
    labels = {len(builtin_description(name).classes): version for version, name in LABELS.items()}
    return TrainedNetwork(
        network=network,
        classes=names,
        frame_rate=_FRAME_RATE,
        origin=origin,
        labels=labels.get(len(names)) if classes is None else None,
    )


def _published_classes(network: CalfNetwork, path: Path) -> tuple[str, ...]:
    count = network.config.classes
    if count not in _PUBLISHED_CLASSES:
        raise DataError(
            f"the network has {count} classes, the published networks have 3 or 17: the names are unknown",
            file=path,
            fix="add --classes NAME,NAME,... in the order of the network",
        )
    return builtin_description(_PUBLISHED_CLASSES[count]).classes


def _keras_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Arrays by the layer's place in the network: names in the file count on from layer to layer."""
    try:
        layers = _layers(path)
    except Exception as error:  # h5py raises many types for a damaged file
        reason = " ".join(str(error).split())
        raise DataError(
            f"this file does not contain Keras weights: {reason:.200}",
            file=path,
            fix="give the weights of the original code",
        ) from error
    convolutions = sorted((name for name in layers if name.startswith("conv")), key=_number)
    norms = [name for name in layers if name.startswith("batch_normalization")]
    if len(convolutions) != len(_KERAS_ORDER) or len(norms) != 1:
        raise DataError(
            f"expected {len(_KERAS_ORDER)} convolutions and 1 batch normalisation, "
            f"got {len(convolutions)} and {len(norms)}",
            file=path,
            fix="give the Keras weights of the original code",
        )
    named = dict(zip((*_KERAS_ORDER, "bn"), (*convolutions, *norms), strict=True))
    return {
        f"{place}/{name}": array for place, layer in named.items() for name, array in layers[layer].items()
    }


def _layers(path: Path) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Layer -> name -> array."""
    layers: dict[str, dict[str, npt.NDArray[Any]]] = {}

    def collect(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            layer, array = name.split("/")[-2:]
            layers.setdefault(layer, {})[array.partition(":")[0]] = _array(name, item)

    with h5py.File(path, "r") as file:
        (file["model_weights"] if "model_weights" in file else file).visititems(collect)
    return layers


def _array(name: str, item: h5py.Dataset) -> npt.NDArray[Any]:
    if item.external or item.is_virtual:
        raise ValueError(f"{name} refers to data in another file")
    if item.dtype.kind != "f" or item.nbytes > _MAX_ARRAY_BYTES:
        raise ValueError(f"{name}: expected floating-point numbers of at most {_MAX_ARRAY_BYTES >> 20} MiB")
    array: npt.NDArray[Any] = item[()]
    return array


def _number(layer: str) -> int:
    """Count of a Keras layer: ``conv2d`` is the first, ``conv2d_1`` the second."""
    match = re.search(r"_(\d+)$", layer)
    return int(match[1]) if match else 0


def _pytorch_state(path: Path) -> dict[str, torch.Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many types for what is no file of its own
        raise DataError(
            "expected a Keras file (HDF5) or a PyTorch checkpoint of tensors and plain values",
            file=path,
            fix=_READABLE,
        ) from error
    if isinstance(content, dict) and "network_config" in content:
        raise DataError(
            "this file is a network of this project already",
            file=path,
            fix=f"use it with {shell_line('--weights', path)}",
        )
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise DataError(
            "expected a PyTorch checkpoint with a state dictionary",
            file=path,
            fix=_READABLE,
        )
    # Trained on several GPUs the names begin with "module.".
    return {str(name).removeprefix("module."): value for name, value in state.items()}

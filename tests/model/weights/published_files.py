"""Files as the published codes write them, made from a network of ours."""

from pathlib import Path

import h5py
import numpy as np
import torch

from model.networks.calf import CalfNetwork
from model.networks.calf_config import NetworkConfig

KERAS_LAYERS = (
    "conv1",
    "conv2",
    "conv3_1",
    "conv3_2",
    "conv3_3",
    "conv3_4",
    *(f"conv{n}" for n in range(4, 9)),
)


def small_network(classes: int = 3, r: int = 8) -> CalfNetwork:
    """A network whose sizes all differ, with running statistics that are not those of a new one."""
    config = NetworkConfig(
        input_size=6,
        classes=classes,
        class_features=4,
        receptive_field_frames=r,
        chunk_frames=60,
        predictions=2,
        norm_momentum=0.01,
    )
    network = CalfNetwork(config, torch.Generator().manual_seed(1))
    with torch.no_grad():
        for seed, value in enumerate(network.state_dict().values()):
            if value.dim() == 1:
                value.uniform_(0.1, 1.0, generator=torch.Generator().manual_seed(seed))
    return network


def keras_arrays(network: CalfNetwork) -> dict[str, np.ndarray]:
    """Weights in the layout of the original code: (time, width, inputs, outputs), time flattened first."""
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    levels = np.split(state["pyramid_bias"], np.cumsum([8, 16, 32]))
    kernels = {
        "conv1": state["mlp_1.weight"].T[None, :, None],
        "conv2": state["mlp_2.weight"].T[None, None],
        **{f"conv3_{level}": state[f"pyramid.{level - 1}"][:, None] for level in range(1, 5)},
        "conv4": state["class_features.kernel"][:, None],
        "conv5": state["spot_1.kernel"][:, None],
        "conv6": state["spot_2.kernel"][:, None],
        "conv7": _time_flattened_first(state["place.weight"]),
        "conv8": _time_flattened_first(state["classify.weight"]),
    }
    biases = {
        "conv1": "mlp_1",
        "conv2": "mlp_2",
        "conv4": "class_features",
        "conv5": "spot_1",
        "conv6": "spot_2",
    }
    biases |= {"conv7": "place", "conv8": "classify"}
    norm = {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_variance",
    }
    return {
        **{f"{layer}/kernel": kernel for layer, kernel in kernels.items()},
        **{f"{layer}/bias": state[f"{ours}.bias"] for layer, ours in biases.items()},
        **{f"conv3_{level}/bias": bias for level, bias in enumerate(levels, start=1)},
        **{f"bn/{theirs}": state[f"norm.{ours}"] for theirs, ours in norm.items()},
    }


def write_keras(path: Path, network: CalfNetwork, *, first: int = 0, group: str = "") -> Path:
    """The file of ``save_weights``; Keras counts its layers on from ``first`` within one process."""
    with h5py.File(path, "w") as file:
        for name, array in keras_arrays(network).items():
            place, kind = name.split("/")
            number = first + (0 if place == "bn" else KERAS_LAYERS.index(place))
            base = "batch_normalization" if place == "bn" else "conv2d"
            layer = f"{base}_{number}" if number else base
            file[f"{group}{layer}/{layer}/{kind}:0"] = array
    return path


def pytorch_state(network: CalfNetwork) -> dict[str, torch.Tensor]:
    """Weights in the layout of the re-release: (outputs, inputs, time, width)."""
    state = network.state_dict()
    kernels = {f"conv_p_{level}": f"pyramid.{level - 1}" for level in range(1, 5)}
    kernels |= {
        "conv_seg": "class_features.kernel",
        "conv_spot_1": "spot_1.kernel",
        "conv_spot_2": "spot_2.kernel",
    }
    biases = {"conv_1": "mlp_1", "conv_2": "mlp_2", "conv_seg": "class_features", "conv_spot_1": "spot_1"}
    biases |= {"conv_spot_2": "spot_2", "conv_conf": "place", "conv_class": "classify"}
    norm = {
        "weight": "weight",
        "bias": "bias",
        "running_mean": "running_mean",
        "running_var": "running_variance",
    }
    levels = state["pyramid_bias"].split([8, 16, 32, 64])
    return {
        "conv_1.weight": state["mlp_1.weight"][:, None, None],
        "conv_2.weight": state["mlp_2.weight"][..., None, None],
        "conv_conf.weight": state["place.weight"][..., None, None],
        "conv_class.weight": state["classify.weight"][..., None, None],
        **{f"{theirs}.weight": state[ours].permute(2, 1, 0)[..., None] for theirs, ours in kernels.items()},
        **{f"{theirs}.bias": state[f"{ours}.bias"] for theirs, ours in biases.items()},
        **{f"conv_p_{level}.bias": bias for level, bias in enumerate(levels, start=1)},
        **{f"batch_seg.{theirs}": state[f"norm.{ours}"] for theirs, ours in norm.items()},
    }


def _time_flattened_first(weight: np.ndarray) -> np.ndarray:
    outputs = len(weight)
    return weight.reshape(outputs, 16, -1).transpose(2, 1, 0).reshape(1, 1, -1, outputs)

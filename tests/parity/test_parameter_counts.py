"""Numbers of weights against both published codes."""

import json
from typing import Any

import pytest
import torch
from parity.golden import ABSENT, FOLDER, files

from model.networks.calf import CalfNetwork
from model.networks.calf_config import NetworkConfig

PLACES = {
    "conv1": "mlp_1",
    "conv2": "mlp_2",
    "conv3": "pyramid",
    "conv4": "class_features",
    "bn": "norm",
    "conv5": "spot_1",
    "conv6": "spot_2",
    "conv7": "place",
    "conv8": "classify",
}
"""Layers of the original code, without the level of the pyramid, and ours."""


def entries() -> list[Any]:
    """Every network whose weights were counted, as parameters of a test."""
    if not FOLDER.is_dir():
        return [pytest.param(None, marks=pytest.mark.skip(reason=ABSENT), id="absent")]
    found = [entry for file in files("4_*counts*.json") for entry in json.loads(file.read_text("utf-8"))]
    if not found:
        raise LookupError(f"no counts of weights in {FOLDER}")
    return [pytest.param(entry, id=f"network-{index}") for index, entry in enumerate(found)]


ENTRIES = entries()


def network_of(entry: dict[str, Any]) -> CalfNetwork:
    config = NetworkConfig(
        input_size=entry["input_size"],
        classes=entry["num_classes"],
        class_features=entry["dim_capsule_f"],
        receptive_field_frames=entry["receptive_field_frames_r"],
        chunk_frames=entry["chunk_size"],
        predictions=entry["num_detections"],
    )
    return CalfNetwork(config, torch.Generator())


def count(tensors: dict[str, torch.Tensor], place: str = "") -> int:
    """Numbers in all tensors of one part of the network; bias and kernels of the pyramid are one part."""
    return sum(tensor.numel() for name, tensor in tensors.items() if name.startswith(place))


@pytest.mark.parametrize("entry", ENTRIES)
def test_network_has_as_many_weights_as_the_published_ones(entry: dict[str, Any]) -> None:
    network = network_of(entry)
    assert count(dict(network.named_parameters())) == entry["trainable"]
    assert count(dict(network.named_buffers())) == entry["bn_running_buffers"]
    assert count(network.state_dict()) == entry["keras_total_params"]


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_layer_has_as_many_weights_as_that_of_the_original_code(entry: dict[str, Any]) -> None:
    if "per_layer" not in entry:
        pytest.skip("the weights of this network were counted as a whole only")
    expected: dict[str, int] = {}
    for layer, number in entry["per_layer"].items():
        place = PLACES[layer.partition("_")[0]]
        expected[place] = expected.get(place, 0) + number
    parameters = dict(network_of(entry).named_parameters())
    assert {place: count(parameters, place) for place in expected} == expected
    assert sum(expected.values()) == count(parameters)

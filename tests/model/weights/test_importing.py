from pathlib import Path

import h5py
import pytest
import torch
from weights.published_files import keras_arrays, pytorch_state, small_network, write_keras

from model.errors import DataError
from model.networks.calf import CalfNetwork
from model.weights.importing import import_published


def assert_same_network(imported: CalfNetwork, original: CalfNetwork) -> None:
    expected = original.state_dict()
    assert imported.state_dict().keys() == expected.keys()
    for name, value in imported.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0, msg=name)


@pytest.mark.parametrize(("first", "group"), [(0, ""), (11, ""), (0, "model_weights/")])
def test_keras_file_is_read_whatever_its_layers_count_from(tmp_path: Path, first: int, group: str) -> None:
    network = small_network()
    trained = import_published(write_keras(tmp_path / "weights.h5", network, first=first, group=group))
    assert_same_network(trained.network, network)
    assert trained.origin == "published-2020"
    assert trained.classes == ("goal", "card", "substitution")
    config = trained.network.config
    assert (config.norm_eps, config.norm_momentum, config.norm_unbiased) == (1e-3, 0.01, False)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_checkpoint_of_the_re_release_is_read_bare_or_with_its_optimiser(tmp_path: Path, prefix: str) -> None:
    network = small_network(classes=17)
    state = {f"{prefix}{name}": value for name, value in pytorch_state(network).items()}
    torch.save(
        {"epoch": 3, "state_dict": state, "best_loss": 0.5, "optimizer": {}}, tmp_path / "model.pth.tar"
    )
    torch.save(state, tmp_path / "bare.pth")
    for file in ("model.pth.tar", "bare.pth"):
        trained = import_published(tmp_path / file)
        assert_same_network(trained.network, network)
        assert trained.origin == "published-2021"
        assert trained.classes[:3] == ("penalty", "kick-off", "goal")
        assert trained.network.config.norm_unbiased


def test_sizes_are_read_from_the_shapes(tmp_path: Path) -> None:
    config = import_published(write_keras(tmp_path / "weights.h5", small_network(r=22))).network.config
    assert (config.input_size, config.classes, config.class_features) == (6, 3, 4)
    assert (config.receptive_field_frames, config.chunk_frames, config.predictions) == (22, 60, 2)


def test_names_of_other_classes_must_be_given(tmp_path: Path) -> None:
    file = write_keras(tmp_path / "weights.h5", small_network(classes=2))
    with pytest.raises(DataError, match="2 classes") as caught:
        import_published(file)
    assert "--classes" in caught.value.details["fix"]
    assert import_published(file, classes=["serve", "point"]).classes == ("serve", "point")


def test_every_weight_that_does_not_fit_is_reported(tmp_path: Path) -> None:
    state = pytorch_state(small_network())
    state["conv_p_3.weight"] = torch.ones(32, 32, 5, 1)
    state["conv_spot_1.bias"] = torch.full((32,), torch.nan)
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(DataError) as caught:
        import_published(tmp_path / "model.pth")
    places = [problem.place for problem in caught.value.problems]
    assert places == ["pyramid.2", "spot_1.bias"]
    assert "got (5, 32, 32)" in caught.value.problems[0].message


def test_every_missing_weight_is_reported(tmp_path: Path) -> None:
    state = pytorch_state(small_network())
    del state["conv_1.weight"], state["batch_seg.running_var"]
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(DataError) as caught:
        import_published(tmp_path / "model.pth")
    assert {problem.place: problem.message for problem in caught.value.problems} == {
        "conv_1.weight": "missing",
        "batch_seg.running_var": "missing",
    }


def test_hdf5_file_of_another_network_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["conv2d/conv2d/kernel:0"] = keras_arrays(small_network())["conv1/kernel"]
    with pytest.raises(DataError, match="expected 11 convolutions and 1 batch normalisation, got 1 and 0"):
        import_published(tmp_path / "other.h5")


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 broken archive"])
def test_another_kind_of_file_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "weights.bin"
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        import_published(file)
    assert caught.value.message == (
        "expected a Keras file (HDF5) or a PyTorch checkpoint of tensors and plain values"
    )


def test_network_of_this_project_needs_no_import(tmp_path: Path) -> None:
    file = tmp_path / "net.pt"
    import_published(write_keras(tmp_path / "net.h5", small_network())).save(file)
    with pytest.raises(DataError, match="a network of this project already") as caught:
        import_published(file)
    assert caught.value.details["fix"] == f"use it with --weights {file}"


def test_checkpoint_without_weights_says_what_to_give(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "net.pt")
    with pytest.raises(DataError, match="with a state dictionary") as caught:
        import_published(tmp_path / "net.pt")
    assert "the re-release's .pth.tar file" in caught.value.details["fix"]


def test_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        import_published(tmp_path / "weights.h5")

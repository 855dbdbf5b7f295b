"""Networks by timm's name or from a file; random weights from a seed stand for published ones."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from generated_video import MeanColours, own_network

from model.errors import ConfigError, UserError
from model.features.extra import imported, imported_timm
from model.features.networks import FeatureNetwork, load_network

# timm and torchvision still decorate with TorchScript when they are imported.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
CPU = torch.device("cpu")
SMALL = "test_resnet.r160_in1k"
"""A network of half a million weights with which timm tests itself."""
PICTURES = np.random.default_rng(3).integers(0, 256, (2, 224, 224, 3)).astype(np.uint8)


@pytest.fixture
def timm() -> object:
    if importlib.util.find_spec("timm") is None:
        pytest.skip("the extra features is not installed")
    return imported_timm()


def weights_of(timm: object, file: Path, *, seed: int) -> Path:
    torch.manual_seed(seed)
    torch.save(timm.create_model(SMALL, pretrained=False).state_dict(), file)  # type: ignore[attr-defined]
    return file


def test_network_of_timm_reads_its_weights_from_a_file(timm: object, tmp_path: Path) -> None:
    one, same, other = (
        load_network(SMALL, weights_of(timm, tmp_path / f"{number}.pth", seed=seed), CPU)
        for number, seed in enumerate((1, 1, 2))
    )
    assert one.weights == same.weights != other.weights and one.size == 160
    features = one.features(PICTURES[:, :160, :160], CPU)
    assert features.dtype == np.float16 and features.shape[0] == 2 and np.isfinite(features).all()
    assert "160x160" in one.preprocessing and "0.5,0.5,0.5" in one.preprocessing


def test_missing_weights_are_one_error_that_names_both_ways(
    timm: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError) as caught:
        load_network(SMALL, None, CPU)
    assert "cache" in str(caught.value) and "--weights FILE" in str(caught.value)


def test_weights_of_another_network_are_refused(timm: object, tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="do not fit"):
        load_network(SMALL, tmp_path / "other.pth", CPU)


def test_unknown_name_lists_near_ones(timm: object) -> None:
    with pytest.raises(ConfigError, match="resnet152"):
        load_network("resnet152_typo", None, CPU)


def test_own_network_sees_what_imagenet_networks_see(tmp_path: Path) -> None:
    network = load_network(str(own_network(tmp_path / "own.pt")), None, CPU)
    grey = np.full((1, 224, 224, 3), 255, dtype=np.uint8)
    expected = [(1 - mean) / std for mean, std in zip(network.mean, network.std, strict=True)]
    np.testing.assert_allclose(
        network.features(grey, CPU)[0], np.repeat(expected, 16).astype(np.float16), rtol=1e-3
    )


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (lambda pictures: pictures, r"of shape \(pictures, values\), got \(2, 3, 224, 224\)"),
        (lambda pictures: pictures[:, 0, 0, 0], r"of shape \(pictures, values\), got \(2,\)"),
        (lambda pictures: (pictures,), "got tuple"),
        (lambda pictures: pictures.flatten(1)[:, :4] * float("nan"), "returns NaN for some pictures"),
    ],
)
def test_output_that_is_no_features_is_one_error(module: object, told: str) -> None:
    network = FeatureNetwork(name="mine", module=module, weights="0" * 64)
    with pytest.raises(ConfigError, match=told):
        network.features(np.zeros((2, 224, 224, 3), dtype=np.uint8), CPU)
    pooled = replace(network, module=lambda pictures: pictures[:, :, :1, :1])
    assert pooled.features(np.zeros((2, 224, 224, 3), dtype=np.uint8), CPU).shape == (2, 3)


@pytest.mark.slow
def test_exported_network_gives_the_same_features(tmp_path: Path) -> None:
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        MeanColours(), (torch.zeros(2, 3, 224, 224),), dynamic_shapes={"pictures": {0: batch}}
    )
    torch.export.save(program, tmp_path / "own.pt2")
    exported = load_network(str(tmp_path / "own.pt2"), None, CPU)
    scripted = load_network(str(own_network(tmp_path / "own.pt")), None, CPU)
    np.testing.assert_allclose(exported.features(PICTURES, CPU), scripted.features(PICTURES, CPU), rtol=1e-3)


@pytest.mark.parametrize("content", [None, b"nothing"])
def test_file_that_is_no_network_is_one_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "own.pt").write_bytes(content)
    with pytest.raises(UserError, match=r"does not exist|no network"):
        load_network(str(tmp_path / "own.pt"), None, CPU)


def test_missing_package_is_one_line_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"^videos need the package av, .*pip install 'hpo\[features\]'$"):
        imported("av")

"""Networks that turn pictures into features: from timm by name, or from a file of one's own."""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from model.errors import ConfigError, UserError
from model.features.extra import imported, imported_timm
from model.recipe import PUBLISHED_MODEL

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_PUBLISHED_SIZE = 224
_OWN_FILES = (".pt", ".pts", ".pth", ".torchscript", ".pt2")


@dataclass(frozen=True, slots=True, eq=False)
class FeatureNetwork:
    """Network without its classifier, and the pictures that it expects."""

    name: str
    """Name in timm, or the name of a file of one's own."""
    module: Any
    weights: str
    """SHA-256 of the weights."""
    size: int = _PUBLISHED_SIZE
    """Width and height of the pictures in pixels."""
    mean: tuple[float, ...] = _IMAGENET_MEAN
    std: tuple[float, ...] = _IMAGENET_STD

    @property
    def preprocessing(self) -> str:
        """Description for the recipe."""
        colours = "; ".join(",".join(f"{value:g}" for value in each) for each in (self.mean, self.std))
        return f"{self.size}x{self.size} square in the middle, bicubic; mean and deviation {colours}"

    @torch.inference_mode()
    def features(self, pictures: npt.NDArray[np.uint8], device: torch.device) -> npt.NDArray[np.float16]:
        """Return the features of pictures (pictures, size, size, 3): (pictures, dims).

        A GPU computes in bfloat16. A processor computes in float32: there bfloat16 is faster with some
        networks and slower with others, and features would depend on the machine.

        Raises:
            ConfigError: The network returns something else, or NaN.
        """
        mean, std = (torch.tensor(each, device=device).view(3, 1, 1) for each in (self.mean, self.std))
        batch = torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).float() / 255
        with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
            found = self.module((batch - mean) / std)
        is_tensor = isinstance(found, torch.Tensor) and found.dim() > 1 and len(found) == len(pictures)
        # Dimensions of one after it are what pooling leaves; larger ones are a map of places.
        if not is_tensor or found.numel() != len(found) * found.shape[1]:
            raise ConfigError(
                f"the network {self.name} must return one tensor of shape (pictures, values), "
                f"got {tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__}"
            )
        rows: npt.NDArray[np.float32] = found.float().flatten(1).cpu().numpy()
        if np.isnan(rows).any():
            raise ConfigError(f"the network {self.name} returns NaN for some pictures")
        # The largest number of float16 is 65504.
        return np.clip(rows, -65504, 65504).astype(np.float16)


def load_network(model: str, weights: Path | None, device: torch.device) -> FeatureNetwork:
    """Load a network onto ``device``.

    Args:
        model: Name in timm, or a TorchScript or ``torch.export`` file of one's own.
        weights: File with the weights of a network of timm. None: timm's own, from its cache or downloaded.
        device: Device to compute on.

    Raises:
        UserError: There is no such network, or its weights are missing or do not fit.
    """
    if is_own_file(model):
        if weights is not None:
            raise ConfigError(f"{model} contains its weights, expected no --weights")
        return _own(Path(model), device)
    return _from_timm(model, weights, device)


def is_own_file(model: str) -> bool:
    """Whether ``model`` is a file of one's own and not a name in timm."""
    return Path(model).suffix in _OWN_FILES


def _own(file: Path, device: torch.device) -> FeatureNetwork:
    if not file.is_file():
        raise UserError("the file of the network does not exist", file=file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    try:
        if file.suffix == ".pt2":
            module = torch.export.load(file).module().to(device)
        else:
            module = _load_script(file, device)
    except Exception as error:  # torch raises many types for files of another kind
        raise UserError(
            f"this file is no network that torch can load: {' '.join(str(error).split()):.200}",
            file=file,
            fix="give a file of torch.jit.save, or of torch.export.save with the ending .pt2; weights of a "
            "network of timm need --model NAME --weights FILE",
        ) from error
    return FeatureNetwork(file.name, module, digest)


def _load_script(file: Path, device: torch.device) -> Any:
    load: Any = torch.jit.load
    with warnings.catch_warnings():
        # torch recommends torch.export, but many networks exist as TorchScript only.
        warnings.simplefilter("ignore", DeprecationWarning)
        return load(str(file), map_location=device).eval()


def _from_timm(name: str, weights: Path | None, device: torch.device) -> FeatureNetwork:
    timm = imported_timm()
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.partition('.')[0]}*")[:5]
        raise ConfigError(
            f"timm has no network {name!r}, and there is no such file",
            known=", ".join(near or (PUBLISHED_MODEL, *MODERN_MODELS)),
        )
    settings = {} if weights is None else {"pretrained_cfg_overlay": {"file": str(weights)}}
    try:
        module = timm.create_model(name, pretrained=True, num_classes=0, **settings)
        if weights is not None:
            # timm leaves what a file lacks at random values.
            given = imported("timm.models").load_state_dict(str(weights), weights_only=True)
            missing = [key for key in module.state_dict() if key not in given and not _counts(key)]
            if missing:
                raise ValueError(f"the file lacks {len(missing)} of its tensors, the first: {missing[0]}")
    except Exception as error:  # the hub's client and torch raise many types
        raise _without_weights(name, weights, error) from error
    data = imported("timm.data").resolve_model_data_config(module)
    module = module.eval().to(device)
    return FeatureNetwork(
        name, module, weights_digest(module), data["input_size"][-1], tuple(data["mean"]), tuple(data["std"])
    )


MODERN_MODELS = ("vit_small_patch14_dinov2.lvd142m", "vit_base_patch16_siglip_224.webli")
"""Newer networks whose features often work better than those of the published one."""


def _counts(key: str) -> bool:
    """Whether a buffer only counts training steps, which many files leave out."""
    return key.endswith("num_batches_tracked")


def weights_digest(module: torch.nn.Module) -> str:
    """Return the SHA-256 of all parameters and buffers, whatever file they came from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _without_weights(name: str, weights: Path | None, error: Exception) -> UserError:
    reason = " ".join(str(error).split())
    if weights is None:
        return UserError(
            f"the weights of {name} are neither in the cache of huggingface_hub nor can they be downloaded",
            reason=f"{reason.partition('. ')[0]:.300}",
            fix=f"run the command once on a machine with a network, or give --weights FILE (the file "
            f"model.safetensors of timm/{name})",
        )
    return UserError(f"these weights do not fit {name}: {reason:.300}", file=weights)

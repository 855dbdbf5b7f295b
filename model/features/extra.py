"""Packages of the extra ``features``, imported when a video is opened and never before."""

import importlib
from typing import Any

import torch

from model.errors import UserError


def imported(name: str) -> Any:
    """Import a module of the extra ``features``.

    Raises:
        UserError: The package is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(
            f"videos need the package {error.name}, which is not installed: pip install 'hpo[features]'"
        ) from None


def imported_timm() -> Any:
    """Import timm, also where torchvision was built for another build of torch.

    A CPU build of torch stands beside PyPI's torchvision on many machines. Its operators cannot be loaded
    then, and torchvision refuses to be imported without their names. timm does not call them.

    Raises:
        UserError: The package is not installed.
    """
    try:
        imported("torchvision")
    except RuntimeError:
        global _NAMES
        _NAMES = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]  # torch has no type here
        for operator in ("nms", "qnms"):
            signature = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            _NAMES.define(signature)  # type: ignore[no-untyped-call]  # nor here
    return imported("timm")


_NAMES: torch.library.Library | None = None
"""Names of operators; they last as long as this object."""

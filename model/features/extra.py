"""Packages of the extra ``features``, imported when a video is opened and never before."""

import importlib
from typing import Any

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

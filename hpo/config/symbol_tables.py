"""Tables of hyperparameters in JSON and TOML files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.errors import ConfigError


def symbols_in_table(document: Any, file: Path) -> Mapping[str, Any]:
    """Return symbol or name -> value of a table of hyperparameters, or of its table ``parameters``.

    Raises:
        ConfigError: It is no table, or a hyperparameter appears twice.
    """
    if isinstance(document, dict) and isinstance(document.get("parameters"), dict):
        document = document["parameters"]
    if not isinstance(document, dict):
        raise ConfigError(f"expected a table of hyperparameters, got {document!r:.60}", file=file)
    # In TOML, K1.goal is a table of its own.
    pairs = [
        (f"{key}.{name}", inner) if name else (key, inner)
        for key, value in document.items()
        for name, inner in (value.items() if isinstance(value, dict) and value else [("", value)])
    ]
    flat = dict(pairs)
    if len(flat) < len(pairs):
        raise ConfigError("a hyperparameter appears twice, as a key and in a table", file=file)
    return flat

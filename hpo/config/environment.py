"""Environment variables, read once and in one place."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model.errors import ConfigError

_USER_AND_PASSWORD = re.compile(r"(?<=://)[^\s'\"]*@")
_PASSWORD_SETTING = re.compile(r"(?i)\b(password|passwd|pwd|token|secret)=[^&\s'\"]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where studies, caches and the MLflow store live on this machine."""

    runs: Path
    """Folder of studies and of the default MLflow store; absolute (``HPO_RUNS``, else ``./hpo-runs``)."""
    cache: Path
    """Folder of mapped data sets; absolute (``HPO_CACHE``, else ``~/.cache/hpo``)."""
    data: Path
    """Where games are looked for by default; absolute (``HPO_DATA``, else ``./data``)."""
    tracking_uri: str
    """Where MLflow records (``MLFLOW_TRACKING_URI``, else an SQLite file in ``runs``)."""


def read_environment(variables: Mapping[str, str] = os.environ) -> Environment:
    """Read the variables; one that is unset or empty takes its default.

    Raises:
        ConfigError: A folder is named that exists as a file.
    """
    runs = _folder(variables, "HPO_RUNS", default="hpo-runs")
    return Environment(
        runs=runs,
        cache=_folder(variables, "HPO_CACHE", default="~/.cache/hpo"),
        data=_folder(variables, "HPO_DATA", default="data"),
        tracking_uri=variables.get("MLFLOW_TRACKING_URI") or f"sqlite:///{runs / 'mlflow.db'}",
    )


def without_passwords(text: str) -> str:
    """``text`` as it may be shown and written: addresses in it name no user and no password."""
    return _PASSWORD_SETTING.sub(r"\1=***", _USER_AND_PASSWORD.sub("", text))


def _folder(variables: Mapping[str, str], name: str, *, default: str) -> Path:
    folder = Path(variables.get(name) or default).expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{name} must name a folder, got a file", path=folder)
    return folder

"""Environment variables, read once and in one place."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from model.errors import ConfigError

_USER_AND_PASSWORD = re.compile(r"(?<=://)[^\s'\"]*@")
_PASSWORD_SETTING = re.compile(r"(?i)\b(password|passwd|pwd|token|secret)=[^&\s'\"]+")
_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Ray sets it for the command of a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where studies, caches and the MLflow store live, and where trials run."""

    runs: Path
    """Folder of studies and of the default MLflow store; absolute (``HPO_RUNS``, else ``./hpo-runs``)."""
    cache: Path
    """Folder of mapped data sets; absolute (``HPO_CACHE``, else ``~/.cache/hpo``)."""
    data: Path
    """Where games are looked for by default; absolute (``HPO_DATA``, else ``./data``)."""
    tracking_uri: str
    """Where MLflow records (``MLFLOW_TRACKING_URI``, else an SQLite file in ``runs``)."""
    ray_address: str | None = None
    """The Ray cluster that trains (``RAY_ADDRESS``, which Ray sets in its jobs); None: this machine."""

    def on_cluster(self, address: str | None) -> "Environment":
        """The same with the Ray cluster that was typed, if one was."""
        return replace(self, ray_address=address) if address else self


def read_environment(variables: Mapping[str, str] = os.environ) -> Environment:
    """Read the variables; one that is unset or empty takes its default.

    Raises:
        ConfigError: A folder is named that exists as a file, or a job does not say where studies live.
    """
    if _JOB in variables and not variables.get("HPO_RUNS"):
        # Ray throws the folder away that a job works in.
        raise ConfigError(
            "a job of a Ray cluster needs HPO_RUNS, the folder of studies that every node sees",
            fix="set it on the cluster's nodes, or where you type hpo submit",
        )
    runs = _folder(variables, "HPO_RUNS", default="hpo-runs")
    return Environment(
        runs=runs,
        cache=cache_folder(variables),
        data=_folder(variables, "HPO_DATA", default="data"),
        tracking_uri=variables.get("MLFLOW_TRACKING_URI") or f"sqlite:///{runs / 'mlflow.db'}",
        ray_address=variables.get("RAY_ADDRESS") or None,
    )


def cache_folder(variables: Mapping[str, str] = os.environ) -> Path:
    """Folder of mapped data sets on this machine, which may be a node that only trains.

    Raises:
        ConfigError: It exists as a file.
    """
    return _folder(variables, "HPO_CACHE", default="~/.cache/hpo")


def without_passwords(text: str) -> str:
    """``text`` as it may be shown and written: addresses in it name no user and no password."""
    return _PASSWORD_SETTING.sub(r"\1=***", _USER_AND_PASSWORD.sub("", text))


def _folder(variables: Mapping[str, str], name: str, *, default: str) -> Path:
    folder = Path(variables.get(name) or default).expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{name} must name a folder, got a file", path=folder)
    return folder

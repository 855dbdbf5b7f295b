"""Settings that the service reads from environment variables."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hpo.config.plain_paths import plain_path
from model.errors import ConfigError

_USER_AND_PASSWORD = re.compile(r"(?<=://)[^\s'\"]*@")
_PASSWORD_SETTING = re.compile(r"(?i)\b(password|passwd|pwd|token|secret)=[^&\s'\"]+")
_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Variable that Ray sets for the command of a submitted job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Locations of studies, cache, data and MLflow records, and the Ray cluster that runs trials."""

    runs: Path
    """Absolute folder of studies and of the default MLflow store. ``HPO_RUNS``; default ``./hpo-runs``."""
    cache: Path
    """Absolute folder of memory-mapped data sets. ``HPO_CACHE``; default ``~/.cache/hpo``."""
    data: Path
    """Absolute folder of games when ``--data`` is not given. ``HPO_DATA``; default ``./data``."""
    tracking_uri: str
    """URI of the MLflow store. ``MLFLOW_TRACKING_URI``; default: an SQLite file in ``runs``."""
    ray_address: str | None = None
    """Address of the Ray cluster that trains. ``RAY_ADDRESS``, which Ray sets in jobs; None: this machine."""

    def on_cluster(self, address: str | None) -> "Environment":
        """Return a copy with the Ray cluster at ``address``; this environment if ``address`` is empty."""
        return replace(self, ray_address=address) if address else self


def read_environment(variables: Mapping[str, str] = os.environ) -> Environment:
    """Read the environment variables of the service; unset and empty ones take their defaults.

    Raises:
        ConfigError: A variable names a file instead of a folder, or a Ray job lacks ``HPO_RUNS``.
    """
    if _JOB in variables and not variables.get("HPO_RUNS"):
        # Ray deletes the working directory of a job.
        raise ConfigError(
            "HPO_RUNS is missing: a job on a Ray cluster needs a folder that all nodes share",
            fix="set HPO_RUNS on the cluster's nodes, or in the shell that runs hpo submit",
        )
    runs = _folder(variables, "HPO_RUNS", default="hpo-runs")
    return Environment(
        runs=runs,
        cache=cache_folder(variables),
        data=_folder(variables, "HPO_DATA", default="data"),
        tracking_uri=variables.get("MLFLOW_TRACKING_URI") or _default_store(runs),
        ray_address=variables.get("RAY_ADDRESS") or None,
    )


def _default_store(runs: Path) -> str:
    # SQLAlchemy reads % and ? of a URI in its own way, which differs between versions.
    return f"sqlite:///{plain_path(runs, misread='%?') / 'mlflow.db'}"


def cache_folder(variables: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of memory-mapped data sets on this machine, such as a node of a cluster.

    Raises:
        ConfigError: ``HPO_CACHE`` names a file instead of a folder.
    """
    return _folder(variables, "HPO_CACHE", default="~/.cache/hpo")


def without_passwords(text: str) -> str:
    """Remove users, passwords and tokens from the addresses in ``text``, so that it can be shown."""
    return _PASSWORD_SETTING.sub(r"\1=***", _USER_AND_PASSWORD.sub("", text))


def _folder(variables: Mapping[str, str], name: str, *, default: str) -> Path:
    folder = Path(variables.get(name) or default).expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{name} names a file, expected a folder", path=folder)
    return folder

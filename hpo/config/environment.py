"""Settings that the service reads from environment variables."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from hpo.config.plain_paths import plain_path
from model.errors import ConfigError

_USER_AND_PASSWORD = re.compile(r"(?<=://)(?!/)[^\s'\"]*@")
_PASSWORD_SETTING = re.compile(r"(?i)\b(password|passwd|pwd|token|secret)=[^&\s'\"]+")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names of this machine, for ``reach_directly``."""
_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Variable that Ray sets for the command of a submitted job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Locations of studies, cache, data and MLflow records, and the Ray cluster that runs trials."""

    runs: Path
    """Absolute folder of studies and of the default MLflow store. ``HPO_RUNS``; default ``./hpo-runs``."""
    cache: Path
    """Absolute folder of memory-mapped data sets. ``HPO_CACHE``; default ``~/.cache/hpo``, or
    ``cache`` in ``runs`` for a user without a home that can be written."""
    data: Path
    """Absolute folder of games when ``--data`` is not given. ``HPO_DATA``; default ``./data``."""
    tracking_uri: str
    """URI of the MLflow store. ``MLFLOW_TRACKING_URI``; default: an SQLite file in ``runs``."""
    ray_address: str | None = None
    """Address of the Ray cluster that trains. ``RAY_ADDRESS``, which Ray sets in jobs; None: this machine.

    Ray's own word for this machine is ``local``."""

    def on_cluster(self, address: str | None) -> "Environment":
        """Return a copy with the Ray cluster at ``address``; this environment if ``address`` is empty."""
        return replace(self, ray_address=_cluster(address)) if address else self


def read_environment(variables: Mapping[str, str] = os.environ) -> Environment:
    """Read the environment variables of the service; unset and empty ones take their defaults.

    Raises:
        ConfigError: A variable names a file instead of a folder, or a Ray job lacks ``HPO_RUNS``.
    """
    if is_job(variables) and not variables.get("HPO_RUNS"):
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
        ray_address=_cluster(variables.get("RAY_ADDRESS")),
    )


def is_job(variables: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process is the command of a job on a Ray cluster."""
    return _JOB in variables


def _default_store(runs: Path) -> str:
    # SQLAlchemy reads % and ? of a URI in its own way, which differs between versions.
    return f"sqlite:///{plain_path(runs, misread='%?') / 'mlflow.db'}"


def cache_folder(variables: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of memory-mapped data sets on this machine, such as a node of a cluster.

    Raises:
        ConfigError: ``HPO_CACHE`` names a file instead of a folder.
    """
    if variables.get("HPO_CACHE"):
        return _folder(variables, "HPO_CACHE", default="")
    return _cache_at_home() or _folder(variables, "HPO_RUNS", default="hpo-runs") / "cache"


def provide_home() -> None:
    """Give the libraries of this process and of those that it starts a place for their own files.

    Ray and others do not work for a user without a home, such as one without an entry in the list of users;
    Matplotlib prints warnings where it cannot write to a home.
    """
    runs = Path(os.environ.get("HPO_RUNS") or "hpo-runs").absolute()
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(runs / "home")
        os.environ["HPO_CACHE"] = os.environ.get("HPO_CACHE") or str(runs / "cache")
    if _cache_at_home() is None:
        os.environ.setdefault("MPLCONFIGDIR", str(runs / "cache" / "matplotlib"))


def reach_directly(*hosts: str) -> None:
    """Keep requests of this process, and of those that it starts, to ``hosts`` away from a proxy."""
    # Programs read either spelling, and prefer the first.
    spared = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    known = [host.strip() for host in spared.split(",") if host.strip()]
    if "*" not in known:
        known += [host for host in hosts if host not in known]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(known)


def without_passwords(text: str) -> str:
    """Remove users, passwords and tokens from the addresses in ``text``, so that it can be shown."""
    return _PASSWORD_SETTING.sub(r"\1=***", _USER_AND_PASSWORD.sub("", text))


def has_password(address: str) -> bool:
    """Return whether an address contains a password or a token; a user alone is none."""
    user = _USER_AND_PASSWORD.search(address)
    return bool(user and ":" in user[0]) or _PASSWORD_SETTING.search(address) is not None


def require_readable_store(uri: str) -> None:
    """Check that the address of the MLflow store can be split into its parts.

    Raises:
        ConfigError: It contains a bracket that is not one of IPv6, such as in a password.
    """
    try:
        urlsplit(uri)
    except ValueError:
        raise ConfigError(
            f"cannot read the address in MLFLOW_TRACKING_URI: {without_passwords(uri)}",
            fix="write a [ in a password as %5B and a ] as %5D",
        ) from None


def _cluster(address: str | None) -> str | None:
    return None if address in (None, "", "local") else address


def _cache_at_home() -> Path | None:
    """Return the default cache in the user's home; None if there is no home or it cannot be written."""
    try:
        home = Path.home().absolute()
    except RuntimeError:  # neither HOME nor an entry in the list of users
        return None
    folder = home / ".cache" / "hpo"
    there = next((place for place in (folder, folder.parent, home) if place.is_dir()), None)
    return folder if there and os.access(there, os.W_OK) else None


def _folder(variables: Mapping[str, str], name: str, *, default: str) -> Path:
    try:
        folder = Path(variables.get(name) or default).expanduser().absolute()
    except RuntimeError:
        raise ConfigError(
            f"{name} begins with ~, but this user has no home: {variables[name]}",
            fix=f"set {name} to a path that begins with /",
        ) from None
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{name} names a file, expected a folder", path=folder)
    return folder

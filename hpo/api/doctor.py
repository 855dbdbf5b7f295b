"""Checks of an installation: versions, devices, folders, MLflow store, Ray, data folder."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryFile

from hpo import __version__
from hpo.config.environment import Environment, read_environment, without_passwords
from model.errors import UserError
from model.shell import shell_line

_PACKAGES = ("torch", "numpy", "ray", "mlflow", "botorch", "bayesian-optimization", "optuna", "pydantic")
_LEAST_FREE_BYTES = 1 << 30
"""Free space below which a folder is a problem: checkpoints and MLflow records of a small study fit."""
_GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Result of one check."""

    check: str
    """Name of the check, such as ``HPO_RUNS``."""
    ok: bool
    found: str
    """Value that was found, or the problem."""
    fix: str = ""
    """Remedy of a problem; empty if there is none."""

    @property
    def line(self) -> str:
        """One line: ok or problem, the check, what was found, and what to do."""
        return f"{'ok' if self.ok else 'problem':<8} {self.check:<22} {self.found}" + (
            f" -> {self.fix}" if self.fix else ""
        )


def examine(data: Path | None = None) -> Iterator[Finding]:
    """Check the installation and yield one finding after the other; secrets are masked.

    Args:
        data: Data folder to look at. None: ``HPO_DATA`` if it is set.
    """
    for package in ("hpo", "python", *_PACKAGES):
        yield _checked(package, lambda package=package: _version(package))  # type: ignore[misc]
    yield _checked("devices", _devices)
    try:
        environment = read_environment()
    except UserError as error:
        yield _problem("environment", error)
        return
    yield _checked("HPO_RUNS", lambda: _folder(environment.runs, "HPO_RUNS"))
    yield _checked("HPO_CACHE", lambda: _folder(environment.cache, "HPO_CACHE"))
    yield _checked("MLflow store", lambda: _store(environment))
    yield _checked("Ray", lambda: _ray(environment))
    if data is not None or os.environ.get("HPO_DATA"):
        yield _checked("data", lambda: _data(data or environment.data))


def _checked(check: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(check=check, ok=True, found=without_passwords(look()))
    except Exception as error:  # whatever a library raises here is a problem of this machine
        return _problem(check, error)


def _problem(check: str, error: Exception) -> Finding:
    if not isinstance(error, UserError):
        message = " ".join(str(error).split()) or "no message"
        return Finding(check=check, ok=False, found=without_passwords(f"{type(error).__name__}: {message}"))
    details = dict(error.details)
    fix = details.pop("fix", "")
    more = "".join(f", {name}: {value}" for name, value in details.items())
    return Finding(
        check=check,
        ok=False,
        found=without_passwords(f"{error.message}{more}"),
        fix=without_passwords(fix),
    )


def _version(package: str) -> str:
    if package == "hpo":
        return __version__
    if package == "python":
        return f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        raise UserError("not installed", fix=f"pip install {package}") from None


def _devices() -> str:
    import torch

    from hpo.study.devices import available_cpus

    cores = f"{available_cpus()} processor cores"
    if not torch.cuda.is_available():
        return f"{cores}, no GPU that this PyTorch can use"
    gpus = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    names = ", ".join(f"{gpu.name} ({gpu.total_memory / _GIB:.0f} GiB)" for gpu in gpus)
    return f"{cores}, {names}"


def _folder(folder: Path, variable: str) -> str:
    """Say where a folder is and how much is free there; create nothing that stays."""
    fix = f"set {variable} to a folder that can be written"
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        raise UserError(f"{folder} cannot be created: {there} is no folder", fix=fix)
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}", fix=fix) from None
    free = shutil.disk_usage(there).free
    text = f"{folder}, {free / _GIB:.1f} GiB free"
    if free < _LEAST_FREE_BYTES:
        raise UserError(f"{text}, expected 1 GiB or more", fix=f"free some space, or {fix}")
    return text if folder.exists() else f"{text}, does not exist yet"


def _store(environment: Environment) -> str:
    from hpo.tracking.store_check import require_usable_store

    why_not_now = require_usable_store(environment)
    if why_not_now:
        raise UserError(
            why_not_now,
            fix="start the server, free its disk, or correct MLFLOW_TRACKING_URI; studies run meanwhile; "
            "record them later with: hpo sync",
        )
    return environment.tracking_uri


def _ray(environment: Environment) -> str:
    from hpo.schedule.cluster import connected, gpus_of_nodes
    from hpo.schedule.local_ray import ray_session

    if environment.ray_address is None:
        with ray_session(cpus=1, gpus=0):
            return "starts on this machine"
    with connected(environment.ray_address, "calf"):
        gpus = gpus_of_nodes()
        return f"cluster at {environment.ray_address}: {len(gpus)} nodes, {sum(gpus)} GPUs"


def _data(folder: Path) -> str:
    from model.data.activitynet.check import is_activitynet
    from model.data.layout.description import read_description

    if folder.is_dir() and is_activitynet(folder):
        return f"{folder}, ActivityNet; {_all_files(folder)}"
    description = read_description(folder)
    lists = [name for name, file in description.splits.items() if (folder / file).is_file()]
    if not lists:
        raise UserError(
            f"{folder} has no list of games, expected {', '.join(description.splits.values())}",
            fix="write them, one game folder a line",
        )
    return (
        f"{folder}, {description.name}, {len(description.classes)} classes, lists of {', '.join(lists)}; "
        + _all_files(folder)
    )


def _all_files(folder: Path) -> str:
    return f"check all files with: {shell_line('hpo', 'data', 'check', folder)}"

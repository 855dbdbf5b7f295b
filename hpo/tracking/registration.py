"""Registration of a final's network in MLflow's model registry, as ``models:/STUDY/VERSION``."""

import json
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hpo.config.environment import without_passwords
from hpo.tasks.base import serving
from hpo.tracking.store import IDENTITY
from hpo.tracking.tracker import RecordRefusedError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel

MODEL = "model"
"""Artifact folder of a trial with its network in MLflow's format for models."""
NETWORK = "network"
"""Folder in a registered model with the files of ``hpo.tasks.base.serving``."""
MISSING = "RESOURCE_DOES_NOT_EXIST"
"""MLflow's code for what it does not have."""
STUDY = "hpo.study"
_TAKEN = "RESOURCE_ALREADY_EXISTS"
_NO_REGISTRY = {
    "ENDPOINT_NOT_FOUND",
    "FEATURE_DISABLED",
    "INVALID_PARAMETER_VALUE",
    "NOT_IMPLEMENTED",
    "PERMISSION_DENIED",
}
"""Codes of stores without a registry, and of registries to which this user must not write."""
_REQUIREMENTS = ("torch", "numpy", "pandas")


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """Network that a study registers under its name."""

    trial: str
    network: Path
    """File that the task's ``save_network`` wrote."""
    task: str
    """Name of the task in study files."""
    signature: serving.Signature | None
    """Input and output of the network; None if the task does not describe them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Tags and description of a network in the registry."""

    study: str
    identity: str
    """Identity of the study, as in its journal."""
    tags: Mapping[str, str]
    description: str
    """Markdown text."""


def register(client: "MlflowClient", run: str, winner: Winner, label: Label) -> None:
    """Upload a network to its run as MLflow's kind of model, and register it.

    Repeating it brings the tags and the description of its version up to date.

    Raises:
        RecordRefusedError: The store has no model registry, or does not let this user write to it.
    """
    with TemporaryDirectory() as folder:
        _save(Path(folder) / MODEL, run, winner, label)
        client.log_artifacts(run, str(Path(folder) / MODEL), MODEL)
    with _refused_by_registry(run):
        name = _name(client, label)
        known = client.search_model_versions(f"run_id = '{run}'")
        mine = next((each for each in known if each.name == name), None)
        if mine is None:
            source = f"{client.get_run(run).info.artifact_uri}/{MODEL}"
            client.create_model_version(
                name, source, run, tags=dict(label.tags), description=label.description
            )
            return
        client.update_model_version(name, mine.version, label.description)
        for tag, value in label.tags.items():
            client.set_model_version_tag(name, mine.version, tag, value)


def registered_models(client: "MlflowClient", identity: str) -> "list[RegisteredModel]":
    """Return the registered model of a study, if it has one and the store has a registry."""
    from mlflow.exceptions import MlflowException

    try:
        return list(client.search_registered_models(f"tags.`{IDENTITY}` = '{identity}'"))
    except MlflowException as error:
        if error.error_code in _NO_REGISTRY:
            return []
        raise


def rename_registered(client: "MlflowClient", identity: str, study: str) -> None:
    """Give the registered model of a study, if it has one, the study's new name."""
    for model in registered_models(client, identity):
        wanted = _free_name(client, study, identity)
        if model.name != wanted:
            client.rename_registered_model(model.name, wanted)
        client.set_registered_model_tag(wanted, STUDY, study)


def delete_registered(client: "MlflowClient", identity: str) -> None:
    """Delete the registered model of a study, if it has one."""
    for model in registered_models(client, identity):
        client.delete_registered_model(model.name)


def _name(client: "MlflowClient", label: Label) -> str:
    """Return the name of the study's registered model; create the model if there is none."""
    from mlflow.exceptions import MlflowException

    if known := registered_models(client, label.identity):
        return str(known[0].name)
    wanted = _free_name(client, label.study, label.identity)
    try:
        client.create_registered_model(wanted, tags={IDENTITY: label.identity, STUDY: label.study})
    except MlflowException as error:  # another study of this name was faster
        if error.error_code != _TAKEN:
            raise
        wanted = _own_name(label.study, label.identity)
        client.create_registered_model(wanted, tags={IDENTITY: label.identity, STUDY: label.study})
    return wanted


def _free_name(client: "MlflowClient", study: str, identity: str) -> str:
    """Return the study's name, as MLflow accepts it, with a suffix if another model has it."""
    from mlflow.exceptions import MlflowException

    try:
        taken = client.get_registered_model(_accepted(study))
    except MlflowException as error:
        if error.error_code != MISSING:
            raise
        return _accepted(study)
    return taken.name if taken.tags.get(IDENTITY) == identity else _own_name(study, identity)


def _own_name(study: str, identity: str) -> str:
    return f"{_accepted(study)}-{identity[:8]}"


def _accepted(study: str) -> str:
    """Return a name without the characters that have a meaning in an address, or in a filter."""
    return re.sub(r"[/:@'\"]", "-", study)


def _save(folder: Path, run: str, winner: Winner, label: Label) -> None:
    """Write a network in MLflow's format; it names code of this package and holds none."""
    from mlflow import pyfunc
    from mlflow.models import Model

    with TemporaryDirectory() as here:
        files = Path(here) / NETWORK
        files.mkdir()
        shutil.copyfile(winner.network, files / serving.NETWORK)
        origin = {"task": winner.task, "study": label.study, "trial": winner.trial}
        (files / serving.ORIGIN).write_text(json.dumps(origin))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it would like an example of the input
            pyfunc.save_model(
                str(folder),
                loader_module=serving.__name__,
                data_path=str(files),
                signature=_mlflow_signature(winner.signature),
                # Without this package: another one on PyPI may have its name.
                pip_requirements=[f"{package}=={version(package)}" for package in _REQUIREMENTS],
                mlflow_model=Model(run_id=run),
                metadata=origin,
            )


def _mlflow_signature(signature: serving.Signature | None) -> Any:
    if signature is None:
        return None
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema, TensorSpec

    return ModelSignature(
        Schema([TensorSpec(np.dtype(np.float32), (-1, signature.dims))]),
        Schema([ColSpec(kind, name) for name, kind in signature.columns.items()]),
    )


@contextmanager
def _refused_by_registry(run: str) -> Iterator[None]:
    """Refuse the registration where the store has no registry; other errors pass, and are tried again."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code not in _NO_REGISTRY:
            raise
        reason = without_passwords(str(error).splitlines()[0]).partition(". ")[0]
        raise RecordRefusedError(
            f"the network is not registered as a model: {reason:.200}. It is in the artifacts of its run; "
            f'register it later with mlflow.register_model("runs:/{run}/{MODEL}", NAME)'
        ) from error

"""Networks in MLflow's model registry, by their addresses ``models:/NAME/VERSION``."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hpo.config.environment import Environment, without_passwords
from hpo.tasks.base import serving
from hpo.tracking.experiment import connect
from hpo.tracking.registration import MISSING, MODEL, NETWORK, registered_models
from hpo.tracking.store import IDENTITY, make_store, require_answer, store_errors
from model.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

SCHEME = "models:"
"""Beginning of the address of a registered model."""
_ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(/(?P<version>[^/@]+)|@(?P<alias>[^/@]+))")
_MOST_NAMED = 20


def registered_address(environment: Environment, identity: str, trial: str) -> str | None:
    """Return the address ``models:/NAME/VERSION`` of a trial's network; None if it is not registered.

    Raises:
        UserError: The store does not answer.
    """
    with store_errors(environment.tracking_uri):
        client = connect(environment.tracking_uri)
        for model in registered_models(client, identity):
            for found in client.search_model_versions(f"name = '{model.name}'"):
                if found.tags.get("hpo.trial") == trial:
                    return _address(found)
    return None


@contextmanager
def registered_network(environment: Environment, address: str) -> Iterator[tuple[str, Path]]:
    """Download a registered network for the time of the context; yield its task and its file.

    Args:
        environment: Gives the address of the store.
        address: ``models:/NAME/VERSION``, ``models:/NAME/latest`` or ``models:/NAME@ALIAS``.

    Raises:
        UserError: There is no such model, it is not a network of this service, or the store does not answer.
    """
    require_answer(environment)
    make_store(environment)
    matched = _ADDRESS.fullmatch(address)
    if matched is None:
        raise UserError(
            f"expected a registered model as models:/NAME/VERSION or models:/NAME@ALIAS, got {address!r}",
            known=_known_addresses(environment),
        )
    with TemporaryDirectory() as here:
        network = _download(environment, matched, Path(here))
        origin = json.loads((network / serving.ORIGIN).read_text())
        yield str(origin["task"]), network / serving.NETWORK


def _download(environment: Environment, address: "re.Match[str]", to: Path) -> Path:
    """Download the folder with a registered network; all requests go to the store of ``environment``."""
    with store_errors(environment.tracking_uri):
        client = connect(environment.tracking_uri)
        found = _version(client, address)
        if found is None:
            raise UserError(
                f"MLflow has no registered model {address[0]}",
                looked_in=without_passwords(environment.tracking_uri),
                known=_known_addresses(environment),
            )
        # A copy under another name has the run of the original.
        place = f"{MODEL}/data/{NETWORK}"
        if not found.run_id or not client.list_artifacts(found.run_id, place):
            raise UserError(
                f"the registered model {address[0]} is not a network of this program, or its files are gone"
            )
        return Path(client.download_artifacts(found.run_id, place, str(to)))


def _version(client: "MlflowClient", address: "re.Match[str]") -> "ModelVersion | None":
    from mlflow.exceptions import MlflowException

    name, version, alias = address["name"], address["version"], address["alias"]
    try:
        if alias:
            return client.get_model_version_by_alias(name, alias)
        if version == "latest":
            return _newest(client, name)
        return client.get_model_version(name, version)
    except MlflowException as error:
        if error.error_code in (MISSING, "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _newest(client: "MlflowClient", name: str) -> "ModelVersion | None":
    quoted = name.replace("'", "''")
    versions = client.search_model_versions(f"name = '{quoted}'")
    return max(versions, key=lambda found: int(found.version), default=None)


def _known_addresses(environment: Environment) -> str:
    """Return the addresses of the registered models, newest version of each; those of this service only."""
    with store_errors(environment.tracking_uri):
        client = connect(environment.tracking_uri)
        models = client.search_registered_models(f"tags.`{IDENTITY}` LIKE '%'", max_results=_MOST_NAMED)
        newest = [found for model in models if (found := _newest(client, model.name))]
    return ", ".join(map(_address, newest)) or "none yet; register one with: hpo run final"


def _address(found: "ModelVersion") -> str:
    return f"{SCHEME}/{found.name}/{found.version}"

"""Deletion of a study's records in MLflow."""

import shutil

from hpo.config.environment import Environment
from hpo.tracking.experiment import connect
from hpo.tracking.registration import delete_registered
from hpo.tracking.store import (
    ARTIFACTS,
    IDENTITY,
    is_server,
    make_store,
    require_answer,
    sqlite_file,
    store_errors,
)


def delete_experiment(environment: Environment, identity: str) -> bool:
    """Delete the experiment and the registered model of a study; without a server, also its artifacts.

    Nothing changes where the store has no records of the study: its artifacts belong to another store.
    MLflow keeps deleted records until ``mlflow gc`` removes them.

    Args:
        environment: Gives the address of the store.
        identity: Identity of the study, as in its journal.

    Returns:
        Whether there was an experiment.

    Raises:
        UserError: The store does not answer.
    """
    require_answer(environment)
    file = sqlite_file(environment)
    if file is not None and not file.exists():
        return False
    make_store(environment)
    with store_errors(environment.tracking_uri):
        client = connect(environment.tracking_uri)
        found = client.search_experiments(filter_string=f"tags.`{IDENTITY}` = '{identity}'")
        for experiment in found:
            client.delete_experiment(experiment.experiment_id)
        delete_registered(client, identity)
    if found and not is_server(environment):
        shutil.rmtree(environment.runs / ARTIFACTS / identity, ignore_errors=True)
    return bool(found)

"""Table of a stage's trials on MLflow's pages: its columns, their order and its address.

By default, MLflow shows no metrics, parameters or tags until a user selects them one by one. A shared view,
which MLflow's pages store as a tag of the experiment, selects them for all users. A version of MLflow without
shared views shows its default table.
"""

import json
from collections.abc import Sequence
from urllib.parse import urlencode

from hpo.tracking.names import accepted_name

VIEW = "mlflow.sharedViewState."
"""Beginning of the tag that stores the view of a stage; the name of the stage follows."""
SIDE = "workflowType=machine_learning"
"""Query that selects the pages of MLflow about training runs, not those about language models."""
_MOST_PARAMETERS = 24


def table_view(stage: str, parameters: Sequence[str], *, metric: str) -> str:
    """Return the view of a stage's trials as the value of its tag: best first, with hyperparameters.

    The view of a search has no columns for roles and replicates, since its trials have none.

    Args:
        stage: Name of the stage.
        parameters: Symbols of the hyperparameters that the stage varies; only the first 24 are shown.
        metric: Name of the score among the metrics of the test split.
    """
    columns = [
        "attributes.`Duration`",
        "metrics.`score`",
        *([f"metrics.`{accepted_name(f'test/{metric}')}`"] if stage == "final" else []),
        *(f"params.`{accepted_name(name)}`" for name in parameters[:_MOST_PARAMETERS]),
        *([] if stage == "bayes" else ["tags.`hpo.role`", "tags.`hpo.replicate`"]),
        "tags.`hpo.status`",
        "tags.`hpo.best`",
    ]
    view = {
        # The run of the stage itself has no such tag.
        "searchFilter": f"tags.`hpo.stage` = '{stage}' AND tags.`hpo.trial` LIKE '%'",
        "orderByKey": "metrics.`score`",
        "orderByAsc": False,
        "selectedColumns": columns,
    }
    return json.dumps(view)


def list_address(address: str) -> str:
    """Return the address of the list of studies on the MLflow pages at ``address``.

    It is on the side of model training; the first page of MLflow is about language models.
    """
    return f"{address}/#/experiments?{SIDE}"


def table_address(address: str, experiment_id: str, stage: str) -> str:
    """Return the address of a stage's table on the MLflow pages at ``address``."""
    query = urlencode({"viewStateShareKey": stage})
    return f"{address}/#/experiments/{experiment_id}/runs?{query}&{SIDE}"

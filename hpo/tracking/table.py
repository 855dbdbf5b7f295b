"""The table of a stage's trials on MLflow's pages: which columns, in which order, under which address.

MLflow shows no metrics, parameters or tags until somebody picks them one by one. A shared view, which its
pages keep as a tag of the experiment, picks them for everybody. A version of MLflow that does not know
the view leaves its own table as it is.
"""

import json
from collections.abc import Sequence
from urllib.parse import urlencode

VIEW = "mlflow.sharedViewState."
"""The tag that holds a stage's view begins so and ends with the stage."""
_MOST_PARAMETERS = 24


def table_view(stage: str, parameters: Sequence[str], *, metric: str) -> str:
    """The value of the view's tag: trials of one stage, best first, with their hyperparameters.

    Trials of a search differ by their hyperparameters alone; those of other stages have roles and replicates.

    Args:
        stage: Whose trials.
        parameters: Symbols of the hyperparameters that the stage varies; a few dozen fit.
        metric: What the score is called among the metrics of the test split.
    """
    columns = [
        "attributes.`Duration`",
        "metrics.`score`",
        *([f"metrics.`test/{metric}`"] if stage == "final" else []),
        *(f"params.`{name}`" for name in parameters[:_MOST_PARAMETERS]),
        *([] if stage == "bayes" else ["tags.`hpo.role`", "tags.`hpo.replicate`"]),
        "tags.`hpo.status`",
        "tags.`hpo.best`",
    ]
    view = {
        "searchFilter": f"tags.`hpo.stage` = '{stage}'",
        "orderByKey": "metrics.`score`",
        "orderByAsc": False,
        "selectedColumns": columns,
    }
    return json.dumps(view)


def table_address(address: str, experiment_id: str, stage: str) -> str:
    """Where a browser finds the table of a stage on the pages at ``address``."""
    query = urlencode({"viewStateShareKey": stage, "workflowType": "machine_learning"})
    return f"{address}/#/experiments/{experiment_id}/runs?{query}"

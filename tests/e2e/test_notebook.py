"""The notebook of ``examples/`` from its first cell to its last, in a kernel."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
TRIALS = 'study.trials()[["trial", "status", "average_map", "param/f", "param/lambda_seg", "duration_s"]]'
NOTEBOOK = ROOT / "examples" / "first_study.ipynb"
SHORTER = {"epochs=6": "epochs=1, games=(2, 1)"}
"""What the test types in other sizes: the trials then train for an epoch on few games."""


def shortened(notebook: Any) -> Any:
    """The notebook with the sizes of ``SHORTER``, each of which it must have."""
    for typed, shorter in SHORTER.items():
        (cell,) = [cell for cell in notebook["cells"] if typed in cell["source"]]
        cell["source"] = cell["source"].replace(typed, shorter)
    return notebook


def texts(cell: Any) -> str:
    """What a cell shows as text."""
    shown = [output.get("text") or output["data"].get("text/plain", "") for output in cell["outputs"]]
    return "\n".join(shown)


def test_the_notebook_is_stored_without_outputs() -> None:
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4)["cells"] if cell["cell_type"] == "code"]
    assert cells and not any(cell["outputs"] or cell["execution_count"] for cell in cells)


@pytest.mark.slow
def test_the_notebook_runs_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPO_RUNS", str(tmp_path / "runs of mine"))
    for name in ("HPO_DATA", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HPO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = shortened(nbformat.read(NOTEBOOK, as_version=4))
    NotebookClient(notebook, timeout=400, resources={"metadata": {"path": str(tmp_path)}}).execute()
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]

    shown = {cell["source"].split("\n")[0]: texts(cell) for cell in cells}
    search = shown["import hpo"]
    assert "4/4 finished" in search and "<Study 'first' in " in search
    assert "[4/4]" not in search, "the progress is one output that is replaced, not a line per trial"
    assert "bayes-0004" in shown[TRIALS]
    (figure,) = [output for output in cells[4]["outputs"] if output["output_type"] != "stream"]
    assert "application/vnd.plotly.v1+json" in figure["data"]
    more = shown["def tell(event):"]
    assert "bayes-0006 reached" in more and "bayes-0004 reached" not in more
    assert "Spot(half=" in shown["network = study.network()"]
    assert "stage bayes has no setting 'trails'" in shown["try:"]
    assert "report.html" in texts(cells[-1]) and "['first']" in texts(cells[-1])

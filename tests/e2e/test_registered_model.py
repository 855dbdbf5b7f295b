"""The network of a final by its name: registered, spotted with, loaded by MLflow."""

import numpy as np
import pytest
from e2e.command_line import CommandLine

import hpo as api
from hpo.journal.events import StageFinished


@pytest.mark.slow
def test_network_of_a_final_is_used_by_its_name(hpo: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hpo.run(*hpo.study("named", "--trials", "1", "--epochs", "1")).returncode == 0
    done = hpo.run("run", "final", "--study", "named", "--seeds", "2", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    assert "network registered in MLflow as models:/named/1" in done.stderr
    resumed = hpo.run("resume", "named")
    assert "network registered in MLflow as models:/named/1" in resumed.stderr

    game = next(hpo.data.glob("synthetic/test/*"))
    spotted = hpo.run("spot", "--weights", "models:/named/latest", "--game", str(game))
    assert spotted.returncode == 0, spotted.stderr
    words = ("--game", str(game), "--to", "clips", "--threshold", "0")
    shown = hpo.run("highlights", "--weights", "models:/named/1", *words)
    assert shown.returncode == 0, shown.stderr
    refused = hpo.run("evaluate", "--weights", "models:/other/1", "--data", str(hpo.data))
    assert refused.returncode == 2
    assert "no registered model models:/other/1" in refused.stderr
    assert "models:/named/1" in refused.stderr

    import mlflow
    from mlflow.exceptions import MlflowException

    # mlflow.set_tracking_uri would leave its own variable to the tests after this one.
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{hpo.folder}/hpo-runs/mlflow.db")
        model = mlflow.pyfunc.load_model("models:/named/1")
    features = np.load(next(game.glob("1_*.npy"))).astype(np.float32)
    table = model.predict(features)
    assert list(table.columns) == ["time_s", "label", "confidence"] and len(table)
    assert table.confidence.is_monotonic_decreasing

    ends = [event for event in hpo.events("named") if isinstance(event, StageFinished)]
    trial = hpo.folder / "hpo-runs/studies/named/trials" / ends[-1].best_trial
    with_half = api.spot(trial / "best.pt", game)
    first = [(spot.time_s, spot.label) for spot in with_half if spot.half == 1]
    assert list(zip(table.time_s, table.label, strict=True)) == first
    with pytest.raises(MlflowException, match="does not match expected"):
        model.predict(features[:, :3])

"""A process that Tune reuses: a trial must not feel the one before."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from hpo.trial.specification import TrialSpec
from hpo.trial.trainable import TrialTrainable


def process() -> TrialTrainable:
    # Without Tune's own start, which makes folders in the user's home.
    return TrialTrainable.__new__(TrialTrainable)


def config(spec: TrialSpec) -> dict[str, Any]:
    return {"spec": spec.to_json(), "threads": 1, "array": None}


def numbers(result: dict[str, Any]) -> dict[str, Any]:
    metrics = {name: value for name, value in result["metrics"] if name != "chunks_per_s"}
    return {**result, "metrics": metrics, "train_s": 0.0}


def test_trial_in_the_process_of_a_stopped_one_is_as_in_a_fresh_process(
    spec: TrialSpec, tmp_path: Path
) -> None:
    other = replace(spec, trial="bayes-0002", parameters={"f": 3}, seed=9, folder=str(tmp_path / "other"))
    reused = process()
    reused.setup(config(other))
    assert not reused.step()["finished"]  # stopped here, in the middle
    assert reused.reset_config(config(spec))
    given = [numbers(reused.step()) for _ in range(3)]

    fresh = process()
    fresh.setup(config(replace(spec, folder=str(tmp_path / "fresh"))))
    assert given == [numbers(fresh.step()) for _ in range(3)]
    assert [result["done"] for result in given] == [False, False, True]

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from hpo.trial.array import TrialArray
from hpo.trial.files import BEST, CHECKPOINT, CONFIG, NEXT, PREVIOUS, remove_training_files
from hpo.trial.report import Report, best_report
from hpo.trial.run import TrialRun
from hpo.trial.specification import TrialSpec
from model.training.checkpoint import load_checkpoint, save_checkpoint
from model.training.trainer import TrainingArray


def steps(spec: TrialSpec, count: int, *, seen: int = 0) -> list[dict[str, Any]]:
    """What a process tells that trains so many validations, the clock left out."""
    array, results = TrialArray(), []
    for _ in range(count):
        result = array.step(spec.to_json(), seen)
        seen = result["epoch"]
        metrics = {name: value for name, value in result["metrics"] if name != "chunks_per_s"}
        results.append({**result, "metrics": metrics, "train_s": 0.0})
    return results


def test_trial_taken_up_from_its_checkpoint_reports_what_an_undisturbed_one_reports(
    spec: TrialSpec, tmp_path: Path
) -> None:
    undisturbed = TrialSpec.from_json({**spec.to_json(), "folder": str(tmp_path / "whole")})
    expected = steps(undisturbed, 3)
    assert [result["finished"] for result in expected] == [False, False, True]
    assert steps(spec, 1) + steps(spec, 2, seen=1) == expected


def test_report_that_the_study_missed_is_given_again_before_training_goes_on(spec: TrialSpec) -> None:
    reports = steps(spec, 3)
    assert steps(spec, 2, seen=1) == reports[1:]


def test_checkpoint_of_a_version_that_did_not_name_the_score_is_gone_on_from(spec: TrialSpec) -> None:
    expected = steps(spec, 3)
    file = Path(spec.folder) / CHECKPOINT
    content = load_checkpoint(Path(spec.folder) / PREVIOUS)
    for told in content["history"]:
        del told["score"]
    save_checkpoint(file, content)
    assert steps(spec, 1, seen=2) == expected[2:]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize("damaged", [[CHECKPOINT], [PREVIOUS], [CHECKPOINT, PREVIOUS]])
def test_trial_with_damaged_checkpoints_reports_what_an_undisturbed_one_reports(
    spec: TrialSpec, damaged: list[str]
) -> None:
    expected = steps(spec, 3)
    for name in damaged:
        cut(Path(spec.folder) / name)
    [last] = steps(spec, 1, seen=2)
    said = last.pop("notes")
    assert last == {name: value for name, value in expected[2].items() if name != "notes"}
    used_first = CHECKPOINT in damaged
    assert said[:1] == ([f"bayes-0001: {CHECKPOINT} is damaged and was deleted"] * used_first)
    assert any("restarts from epoch 0" in note for note in said) == (len(damaged) == 2)


def test_trial_that_fails_tells_of_its_damaged_checkpoint(
    spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(array: TrainingArray) -> None:
        raise RuntimeError("no such thing")

    steps(spec, 1)
    cut(Path(spec.folder) / CHECKPOINT)
    monkeypatch.setattr(TrainingArray, "advance", fault)
    result = TrialArray().step(spec.to_json(), 1)
    assert result["failed"] == "RuntimeError: no such thing"
    assert result["notes"][0] == f"bayes-0001: {CHECKPOINT} is damaged and was deleted"


def test_damaged_checkpoint_does_not_take_the_place_of_the_good_one_before(spec: TrialSpec) -> None:
    steps(spec, 2)
    cut(Path(spec.folder) / CHECKPOINT)
    steps(spec, 1, seen=2)
    assert load_checkpoint(Path(spec.folder) / PREVIOUS)


def test_full_disk_is_told_apart_from_a_failure_of_the_trial(
    spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    array = TrialArray()
    array.step(spec.to_json(), 0)
    newest = (Path(spec.folder) / CHECKPOINT).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("hpo.trial.run.save_checkpoint", full)
        result = array.step(spec.to_json(), 1)
    assert (Path(spec.folder) / CHECKPOINT).read_bytes() == newest
    assert result["unwritable"] == f"cannot write to {spec.folder}: No space left on device"
    assert "failed" not in result
    assert [result["epoch"] for result in steps(spec, 2, seen=1)] == [2, 3]


def test_checkpoint_of_a_file_server_that_is_away_for_a_moment_is_kept(
    spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_bytes = Path.read_bytes

    def stale(file: Path) -> bytes:
        if file.name == CHECKPOINT:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return read_bytes(file)

    steps(spec, 2)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", stale)
        result = TrialArray().step(spec.to_json(), 2)
    assert result["unwritable"] == f"cannot read {Path(spec.folder) / CHECKPOINT}: Stale file handle"
    assert [result["epoch"] for result in steps(spec, 1, seen=2)] == [3]


def test_checkpoint_that_the_study_removes_while_it_is_written_is_no_fault(
    spec: TrialSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user has ended the trial: the study needs no checkpoint of it, and its process is about to end."""

    def remove(file: Path, content: dict[str, Any]) -> None:
        save_checkpoint(file, content)
        remove_training_files(file.parent)

    monkeypatch.setattr("hpo.trial.run.save_checkpoint", remove)
    assert steps(spec, 1)[0]["epoch"] == 1
    assert sorted(file.name for file in Path(spec.folder).iterdir()) == [BEST, CONFIG]


def test_best_network_is_kept_with_all_that_is_needed_to_use_it(spec: TrialSpec) -> None:
    reports = steps(spec, 3)
    best = load_checkpoint(Path(spec.folder) / BEST)
    scores = [result["score"] for result in reports]
    assert best["epoch"] == 1 + scores.index(max(scores))
    assert best["metrics"]["average_map"] == max(scores)
    assert best["classes"] == ["goal", "card", "substitution"]
    assert best["network_config"]["class_features"] == 2
    assert {"network", "zones_frames", "frame_rate"} <= set(best)
    assert {path.name for path in Path(spec.folder).iterdir()} == {BEST, CHECKPOINT, PREVIOUS, CONFIG}


def test_checkpoint_that_a_kill_left_without_its_name_is_gone_on_from(spec: TrialSpec) -> None:
    """The process died between the two renamings: the interval need not be trained again."""
    expected = steps(spec, 3)
    folder = Path(spec.folder)
    (folder / CHECKPOINT).rename(folder / NEXT)
    before = (folder / NEXT).read_bytes()
    assert steps(spec, 1, seen=2) == expected[2:]
    assert (folder / NEXT).read_bytes() == before and not (folder / CHECKPOINT).exists()


@pytest.mark.parametrize("interrupted", ["checkpoint", "network"])
def test_best_network_is_that_of_a_recorded_epoch_after_a_kill(
    spec: TrialSpec, monkeypatch: pytest.MonkeyPatch, interrupted: str
) -> None:
    """The second epoch is the best one, and the process is killed while it writes one of its two files."""
    steps(spec, 1)
    monkeypatch.setattr("hpo.trial.run.best_report", lambda history: history[-1])
    saving = "_save" if interrupted == "checkpoint" else "_save_best"

    def killed(run: TrialRun) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrialRun, saving, killed)
        TrialArray().step(spec.to_json(), 1)
    assert load_checkpoint(Path(spec.folder) / BEST)["epoch"] == 1
    (known,) = steps(spec, 1, seen=0 if interrupted == "checkpoint" else 1)
    assert load_checkpoint(Path(spec.folder) / BEST)["epoch"] == known["epoch"]


def test_best_report_is_the_earliest_of_the_highest() -> None:
    reports = [Report(epoch, {}, 0.0, score) for epoch, score in ((1, 0.2), (2, 0.4), (3, 0.4))]
    assert best_report(reports).epoch == 2


def test_task_survives_a_trip_through_json(spec: TrialSpec) -> None:
    assert TrialSpec.from_json(spec.to_json()) == spec


def test_trial_reports_the_mean_that_its_study_file_names(spec: TrialSpec) -> None:
    record = spec.to_json()
    study = {**record["study"], "scoring": {"mean": "present"}}
    (result,) = steps(TrialSpec.from_json({**record, "study": study}), 1)
    assert result["score"] == dict(result["metrics"])["average_map_present"]

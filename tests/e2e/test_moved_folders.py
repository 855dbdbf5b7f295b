"""Studies whose folders move, or have names that are hard on other programs."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from e2e.command_line import CommandLine

ODD = os.fsdecode(b"odd 50%41?x=1#y [b]'\"$HOME\n\xff\xfe")
STUDY = "sväng [x] 2"


@pytest.fixture
def odd(hpo: CommandLine, empty_store: Path) -> CommandLine:
    """Commands in a folder whose name is no text, on data with such a name; the cache lies there too."""
    folder = hpo.folder / ODD
    shutil.copytree(hpo.data, folder / "games")
    return replace(hpo, folder=folder, data=folder / "games", cache=folder / "cache").with_store(empty_store)


def succeeds(hpo: CommandLine, *words: str) -> str:
    done = hpo.run(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "missing in MLflow" not in done.stderr
    return done.stdout + done.stderr


def moved(hpo: CommandLine) -> CommandLine:
    """The same after both folders got other names."""
    from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

    _artifact_repos_cache.clear()  # commands share a process here
    there = hpo.folder.with_name("50% of it?")
    hpo.folder.rename(there)
    (there / "games").rename(there / "other games")
    return replace(hpo, folder=there, data=there / "other games", cache=there / "cache")


def test_study_in_folders_of_any_name_goes_on_where_they_have_moved_to(odd: CommandLine) -> None:
    said = succeeds(odd, *odd.study(STUDY, "--trials", "1", "--epochs", "1"))
    offered = [f"hpo run {stage} --study '{STUDY}'" for stage in ("grid-slicing", "final")]
    assert "\n  ".join(["next:", *offered, f"hpo status '{STUDY}'", "hpo ui"]) in said
    trial = f"{STUDY}/bayes-0001"
    assert "equal: all metrics" in succeeds(odd, "reproduce", trial)

    there = moved(odd)
    lost = there.run("reproduce", trial)
    assert (lost.returncode, "add --data FOLDER" in lost.stderr) == (2, True), lost.stderr
    assert "equal: all metrics" in succeeds(there, "reproduce", trial, "--data", str(there.data))
    unplaced = there.run("report", STUDY, "--analyse")
    assert f"fix: say where they are: hpo resume '{STUDY}' --data FOLDER" in unplaced.stderr
    succeeds(there, "report", STUDY, "--analyse", "--data", str(there.data))
    page = (there.folder / "hpo-runs" / "studies" / STUDY / "report.html").read_text()
    assert "other games" in page and "Analyses of bayes-0001" in page
    # The new place is kept, in MLflow too.
    assert "equal: all metrics" in succeeds(there, "reproduce", trial)
    final = ["run", "final", "--study", STUDY, "--seeds", "2", "--epochs", "1"]
    assert str(there.data) in succeeds(there, *final, "--dry-run")
    assert not odd.folder.exists()


@pytest.mark.slow
def test_ray_starts_in_a_folder_of_any_name(odd: CommandLine) -> None:
    succeeds(odd.apart, *odd.study(STUDY, "--trials", "1", "--epochs", "1"))
    assert len(odd.best(STUDY)) == 1

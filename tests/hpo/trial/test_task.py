"""What a trial is told, and the data that it finds on its machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from hpo.trial.task import RemoteSplit, SplitRef, TrialTask
from model.errors import DataError


@pytest.fixture
def elsewhere(games: Path, splits: dict[str, SplitRef]) -> SplitRef:
    """The training split as a machine sees it that does not see the driver's cache."""
    remote = RemoteSplit(uri=games.as_uri(), features="synthetic", split="train")
    name = Path(splits["train"].path).name
    return replace(splits["train"], path=f"/not-here/{name}", remote=remote)


def test_a_task_survives_json(task: TrialTask, elsewhere: SplitRef) -> None:
    sent = replace(task, train=elsewhere)
    assert TrialTask.from_json(sent.to_json()) == sent


def test_a_split_of_an_older_journal_is_read() -> None:
    assert SplitRef.from_json({"path": "/cache/a", "games": 2}) == SplitRef(path="/cache/a", games=2)


def test_a_machine_without_the_store_builds_its_own_from_a_copy(
    elsewhere: SplitRef, splits: dict[str, SplitRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_CACHE", str(tmp_path))
    store = elsewhere.open()
    assert store.digest == splits["train"].open().digest
    assert store.path.parent == tmp_path
    # Once built it needs nothing more from there.
    assert elsewhere.remote is not None
    gone = replace(elsewhere, remote=replace(elsewhere.remote, uri="file:///nowhere"))
    assert gone.open().digest == store.digest


def test_the_store_that_the_driver_built_is_used_where_it_is_seen(
    elsewhere: SplitRef, splits: dict[str, SplitRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_CACHE", str(tmp_path))
    seen = replace(splits["train"], remote=elsewhere.remote)
    assert str(seen.open().path) == splits["train"].path
    assert not list(tmp_path.iterdir())


def test_data_that_are_not_those_of_the_study_are_refused(
    elsewhere: SplitRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=r"the train split at file://.* changed since the study began"):
        replace(elsewhere, path="/not-here/0123456789abcdef").open()

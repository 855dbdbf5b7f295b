"""What a trial is told, and the data that it finds on its machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from hpo.tasks.base.splits import RemoteSplit, SplitRef
from hpo.tasks.calf.data import open_reference
from hpo.trial.specification import TrialSpec
from model.errors import DataError


@pytest.fixture
def elsewhere(games: Path, splits: dict[str, SplitRef]) -> SplitRef:
    """The training split as a machine sees it that does not see the driver's cache."""
    remote = RemoteSplit(uri=games.as_uri(), features="synthetic", split="train")
    name = Path(splits["train"].path).name
    return replace(splits["train"], path=f"/not-here/{name}", remote=remote)


def test_an_order_survives_json(spec: TrialSpec, elsewhere: SplitRef) -> None:
    sent = replace(spec, train=elsewhere)
    assert TrialSpec.from_json(sent.to_json()) == sent


def test_a_split_of_an_older_journal_is_read() -> None:
    assert SplitRef.from_json({"path": "/cache/a", "games": 2}) == SplitRef(path="/cache/a", items=2)


def test_a_machine_without_the_store_builds_its_own_from_a_copy(
    elsewhere: SplitRef, splits: dict[str, SplitRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_CACHE", str(tmp_path))
    store = open_reference(elsewhere)
    assert store.digest == open_reference(splits["train"]).digest
    assert store.path.parent == tmp_path
    # Once built it needs nothing more from there.
    assert elsewhere.remote is not None
    gone = replace(elsewhere, remote=replace(elsewhere.remote, uri="file:///nowhere"))
    assert open_reference(gone).digest == store.digest


def test_the_store_that_the_driver_built_is_used_where_it_is_seen(
    elsewhere: SplitRef, splits: dict[str, SplitRef], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_CACHE", str(tmp_path))
    seen = replace(splits["train"], remote=elsewhere.remote)
    assert str(open_reference(seen).path) == splits["train"].path
    assert not list(tmp_path.iterdir())


def test_data_that_are_not_those_of_the_study_are_refused(
    elsewhere: SplitRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=r"the train split at file://.* has changed since the study began"):
        open_reference(replace(elsewhere, path="/not-here/0123456789abcdef"))

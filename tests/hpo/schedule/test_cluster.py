"""What is checked of a cluster before the first trial; ``tests/service`` does it on one."""

from dataclasses import replace
from pathlib import Path

import pytest

from hpo.schedule import cluster
from hpo.schedule.cluster import Needs, _able, _Node, cluster_session, missing_here
from hpo.tasks.base.splits import RemoteSplit, SplitRef
from hpo.tasks.calf.data import open_reference
from model.data.store import open_split
from model.data.synthetic import write_synthetic
from model.errors import UserError

HEAD = _Node(host="head", cpus=0.0, gpus=0.0, memory_bytes=4e9, node_id="a")
SMALL = _Node(host="small", cpus=2.0, gpus=0.0, memory_bytes=1e9, node_id="b")
LARGE = _Node(host="large", cpus=8.0, gpus=2.0, memory_bytes=4e9, node_id="c")


@pytest.fixture(scope="module")
def small_games(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("games")
    write_synthetic(root, games={"train": 1, "valid": 1, "test": 1}, dims=8, minutes=15, seed=3)
    return root


@pytest.fixture
def needs(tmp_path: Path, small_games: Path) -> Needs:
    """Met on this machine."""
    study = tmp_path / "study"
    study.mkdir()
    (study / "journal.jsonl").touch()
    path = open_split(small_games, features="synthetic", split="train", cache=tmp_path / "cache").path
    read = SplitRef(path=str(path), items=1)
    return Needs(task="calf", threads=2, gpu=False, memory_bytes=500_000_000, read=(read,), write=study)


def test_trials_go_to_nodes_that_are_large_enough(needs: Needs) -> None:
    assert _able([HEAD, SMALL, LARGE], needs) == [SMALL, LARGE]
    assert _able([HEAD, SMALL, LARGE], replace(needs, threads=4)) == [LARGE]
    assert _able([HEAD, SMALL, LARGE], replace(needs, gpu=True)) == [LARGE]


def test_a_trial_that_fits_nowhere_is_an_error_and_does_not_wait_for_ever(needs: Needs) -> None:
    with pytest.raises(UserError, match="takes 16 processor cores, the largest node of the cluster has 8"):
        _able([HEAD, LARGE], replace(needs, threads=16))
    with pytest.raises(UserError, match="trains on cuda, no node of the cluster with 2 cores has a GPU"):
        _able([HEAD, SMALL], replace(needs, gpu=True))


def test_a_gpu_beside_too_few_cores_is_none(needs: Needs) -> None:
    with pytest.raises(UserError, match="no node of the cluster with 2 cores has a GPU"):
        _able([SMALL, replace(LARGE, cpus=1.0)], replace(needs, gpu=True))


def test_too_little_memory_everywhere_is_an_error_with_both_figures(needs: Needs) -> None:
    assert _able([SMALL, LARGE], replace(needs, memory_bytes=2_000_000_000)) == [LARGE]
    with pytest.raises(
        UserError, match="takes at least 8,000 MB of memory, the largest node that could has 4,000"
    ):
        _able([SMALL, LARGE], replace(needs, memory_bytes=8_000_000_000))


def test_a_node_that_does_not_see_the_data_fetches_a_copy(
    needs: Needs, small_games: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_CACHE", str(tmp_path / "node"))
    here = needs.read[0]
    remote = RemoteSplit(uri=small_games.as_uri(), features="synthetic", split="train")
    there = replace(here, path=f"/not-here/{Path(here.path).name}", remote=remote)
    assert missing_here(replace(needs, read=(there,))) == []
    assert open_reference(there).path.parent == tmp_path / "node"
    (away,) = missing_here(
        replace(needs, read=(replace(there, path="/not-here/0", remote=replace(remote, uri="file:///no")),))
    )
    assert away == "no data set at file:///no"


def test_a_node_that_sees_everything_lacks_nothing(needs: Needs) -> None:
    assert missing_here(needs) == []


def test_a_folder_that_a_node_does_not_see_is_named_with_what_to_set(needs: Needs, tmp_path: Path) -> None:
    (Path(needs.read[0].path) / "meta.json").unlink()
    # A folder of that name is not enough: it may be another disk.
    (needs.write / "journal.jsonl").unlink()
    data, study = missing_here(needs)
    assert needs.read[0].path in data and "HPO_CACHE" in data
    assert str(needs.write) in study and "HPO_RUNS" in study


def test_every_node_with_a_problem_is_named(needs: Needs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_nodes", lambda: [SMALL, LARGE])
    monkeypatch.setattr(cluster, "_probe", lambda nodes, needs: [["no data"], ["no data", "no study"]])
    with pytest.raises(UserError) as refused:
        cluster._check(needs)
    assert str(refused.value).splitlines()[1:] == [
        "  small: no data",
        "  large: no data",
        "  large: no study",
    ]


@pytest.mark.parametrize("address", ["ray://head:10001", "127.0.0.1:9", "head", "head:port", "head:99999999"])
def test_an_address_without_a_cluster_is_refused_within_seconds(needs: Needs, address: str) -> None:
    with (
        pytest.raises(UserError, match=f"no Ray cluster can be used at {address}"),
        cluster_session(address, needs),
    ):
        pytest.fail("there is no cluster")

"""What is checked of a cluster before the first trial; ``tests/service`` does it on one."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from hpo.schedule import cluster
from hpo.schedule.cluster import (
    NodeRequirements,
    _able,
    _Node,
    cluster_session,
    connected,
    gpus_of_nodes,
    problems_on_this_node,
    share_of_a_node,
)
from hpo.tasks.base.splits import RemoteSplit, SplitRef
from hpo.tasks.calf.data import open_reference
from model.data.stores.building import open_split
from model.data.synthetic import write_synthetic
from model.errors import UserError

HEAD = _Node(host="head", address="10.0.0.1", cpus=0.0, gpus=0.0, memory_bytes=4e9, node_id="a")
SMALL = _Node(host="small", address="10.0.0.2", cpus=2.0, gpus=0.0, memory_bytes=1e9, node_id="b")
LARGE = _Node(host="large", address="10.0.0.3", cpus=8.0, gpus=2.0, memory_bytes=4e9, node_id="c")


@pytest.fixture(scope="module")
def small_games(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("games")
    write_synthetic(root, games={"train": 1, "valid": 1, "test": 1}, dims=8, minutes=15, seed=3)
    return root


@pytest.fixture
def needs(tmp_path: Path, small_games: Path) -> NodeRequirements:
    """Met on this machine."""
    study = tmp_path / "study"
    study.mkdir()
    (study / "journal.jsonl").touch()
    path = open_split(small_games, features="synthetic", split="train", cache=tmp_path / "cache").path
    read = SplitRef(path=str(path), items=1)
    return NodeRequirements(
        task="calf", threads=2, gpu=False, memory_bytes=500_000_000, splits=(read,), study=study
    )


def test_trials_go_to_nodes_that_are_large_enough(needs: NodeRequirements) -> None:
    assert _able([HEAD, SMALL, LARGE], needs) == [SMALL, LARGE]
    assert _able([HEAD, SMALL, LARGE], replace(needs, threads=4)) == [LARGE]
    assert _able([HEAD, SMALL, LARGE], replace(needs, gpu=True)) == [LARGE]


def test_a_trial_that_fits_nowhere_is_an_error_and_does_not_wait_for_ever(needs: NodeRequirements) -> None:
    with pytest.raises(UserError, match="needs 16 processor cores, but the largest node"):
        _able([HEAD, LARGE], replace(needs, threads=16))
    with pytest.raises(UserError, match="trains on cuda, but no node with 2 cores has a GPU"):
        _able([HEAD, SMALL], replace(needs, gpu=True))


def test_a_gpu_beside_too_few_cores_is_none(needs: NodeRequirements) -> None:
    with pytest.raises(UserError, match="no node with 2 cores has a GPU"):
        _able([SMALL, replace(LARGE, cpus=1.0)], replace(needs, gpu=True))


def test_too_little_memory_everywhere_is_an_error_with_both_figures(needs: NodeRequirements) -> None:
    assert _able([SMALL, LARGE], replace(needs, memory_bytes=2_000_000_000)) == [LARGE]
    with pytest.raises(
        UserError, match="at least 8,000 MB of memory, but the largest suitable node of the cluster has 4,000"
    ):
        _able([SMALL, LARGE], replace(needs, memory_bytes=8_000_000_000))


def test_a_node_that_does_not_see_the_data_fetches_a_copy(
    needs: NodeRequirements, small_games: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_CACHE", str(tmp_path / "node"))
    here = needs.splits[0]
    remote = RemoteSplit(uri=small_games.as_uri(), features="synthetic", split="train")
    there = replace(here, path=f"/not-here/{Path(here.path).name}", remote=remote)
    assert problems_on_this_node(replace(needs, splits=(there,))) == []
    assert open_reference(there).path.parent == tmp_path / "node"
    (away,) = problems_on_this_node(
        replace(needs, splits=(replace(there, path="/not-here/0", remote=replace(remote, uri="file:///no")),))
    )
    assert away == "no data set at file:///no"


def test_a_node_that_sees_everything_lacks_nothing(needs: NodeRequirements) -> None:
    assert problems_on_this_node(needs) == []


def test_a_folder_that_a_node_does_not_see_is_named_with_what_to_set(
    needs: NodeRequirements, tmp_path: Path
) -> None:
    (Path(needs.splits[0].path) / "meta.json").unlink()
    # A folder of that name is not enough: it may be another disk.
    (needs.study / "journal.jsonl").unlink()
    data, study = problems_on_this_node(needs)
    assert needs.splits[0].path in data and "HPO_CACHE" in data
    assert str(needs.study) in study and "HPO_RUNS" in study


def test_every_node_with_a_problem_is_named(needs: NodeRequirements, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_nodes", lambda: [SMALL, LARGE])
    monkeypatch.setattr(cluster, "_probe", lambda nodes, needs: [["no data"], ["no data", "no study"]])
    with pytest.raises(UserError) as refused:
        cluster._check(needs)
    assert str(refused.value).splitlines()[1:] == [
        "  small (10.0.0.2): no data",
        "  large (10.0.0.3): no data",
        "  large (10.0.0.3): no study",
    ]


@pytest.mark.parametrize("address", ["ray://head:10001", "127.0.0.1:9", "head", "head:port", "head:99999999"])
def test_an_address_without_a_cluster_is_refused_within_seconds(
    needs: NodeRequirements, address: str
) -> None:
    with (
        pytest.raises(UserError, match=f"cannot use a Ray cluster at {address}"),
        cluster_session(address, needs),
    ):
        pytest.fail("there is no cluster")


@pytest.mark.parametrize(
    ("logged", "said"),
    [
        (b"RPC error: InvalidAuthToken: Authentication token is missing", "needs a token, which is missing"),
        (b"something else", "cannot use a Ray cluster at head:6379: no answer"),
    ],
)
def test_token_that_only_the_log_of_ray_mentions_is_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], logged: bytes, said: str
) -> None:
    def refuse(address: str) -> None:
        os.write(2, logged)
        raise ConnectionError("no answer")

    monkeypatch.setattr("ray._raylet.GcsClient", refuse)
    monkeypatch.setattr(cluster, "start_ray", lambda **options: pytest.fail("Ray tries for 20 seconds"))
    monkeypatch.setattr(cluster, "_knock", lambda address: None)
    with pytest.raises(UserError, match=said), connected("head:6379"):
        pytest.fail("there is no cluster")
    assert capfd.readouterr().err == ""


def test_cluster_of_this_machine_that_has_ended_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")  # where Ray's own file of the last cluster may lead too
    with (
        pytest.raises(UserError, match=r"cannot use a Ray cluster at [\d.]+:9: .*refused"),
        connected("auto"),
    ):
        pytest.fail("there is no cluster")


def test_lost_cluster_is_named_with_the_command_that_continues() -> None:
    lost = cluster._lost("127.0.0.1:9", "night")
    assert lost is not None and "the Ray cluster at 127.0.0.1:9 is lost" in lost.message
    assert "hpo resume night --ray-address 127.0.0.1:9" in lost.details["fix"]


def test_nodes_that_have_left_the_cluster_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def node(name: str, *, alive: bool) -> dict[str, object]:
        place = {"NodeManagerHostname": name, "NodeManagerAddress": "10.0.0.1", "NodeID": name}
        return {**place, "Alive": alive, "Resources": {"CPU": 8.0, "GPU": 2.0}}

    monkeypatch.setattr("ray.nodes", lambda: [node("left", alive=False), node("there", alive=True)])
    assert [found.host for found in cluster._nodes()] == ["there"]
    assert gpus_of_nodes() == [2]


def test_jobs_share_the_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_nodes", lambda: [HEAD, SMALL, LARGE])
    assert share_of_a_node("cpu") == {"num_cpus": 2}
    assert share_of_a_node("cuda") == {"num_gpus": 1, "num_cpus": 4}
    monkeypatch.setattr(cluster, "_nodes", lambda: [HEAD, SMALL])
    with pytest.raises(UserError, match="no node of the cluster has a GPU"):
        share_of_a_node("cuda")

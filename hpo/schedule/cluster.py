"""A Ray cluster in place of this machine: connected to, and looked over before the first trial."""

import math
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.schedule.packing import packed
from hpo.schedule.tuner import before_importing_ray, start_ray
from hpo.tasks.base.registry import task_named
from hpo.tasks.base.splits import SplitRef
from model.errors import UserError

_ANSWER_S = 10.0
_PROBE_S = 120.0
"""How long the nodes have to answer: the first call of a node unpacks the code there and starts Python."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What trials want of the nodes that run them."""

    task: str
    """Whose data they are."""
    threads: int
    """Processor cores of a trial."""
    gpu: bool
    memory_bytes: int
    """What a process that trains takes at the very least."""
    read: tuple[SplitRef, ...]
    """The data."""
    write: Path
    """The folder of the study."""


@dataclass(frozen=True, slots=True)
class _Node:
    host: str
    cpus: float
    gpus: float
    memory_bytes: float
    node_id: str


@contextmanager
def cluster_session(address: str, needs: Needs) -> Iterator[None]:
    """Use the Ray cluster at ``address`` inside the context.

    Raises:
        UserError: It does not answer, or no node of it can run the trials.
    """
    before_importing_ray()
    import ray

    _connect(address, needs.task)
    try:
        _check(needs)
        yield
    finally:
        ray.shutdown()


def _connect(address: str, task: str) -> None:
    from ray.exceptions import RayError

    _require_answer(address)
    with packed(task=task) as cargo:
        # A job has brought its code along already.
        carried = None if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ else cargo.modules
        try:
            start_ray(address=address, runtime_env=carried)
        except (ConnectionError, RuntimeError, ValueError, RayError) as error:
            raise _unusable(address, str(error)) from error


def _require_answer(address: str) -> None:
    """Refuse what Ray would refuse less clearly, or after minutes."""
    if address == "auto":
        return
    if address.startswith("ray://"):
        raise _unusable(address, "Ray Tune does not work through Ray's client")
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _unusable(address, str(error)) from error


def _unusable(address: str, why: str) -> UserError:
    return UserError(
        f"no Ray cluster can be used at {address}: {why.strip().splitlines()[0]}",
        fix="give --ray-address auto and RAY_AUTH_TOKEN on a machine of the cluster; elsewhere hpo submit",
    )


def _check(needs: Needs) -> None:
    nodes = _able(_nodes(), needs)
    problems = [
        line for node, lines in zip(nodes, _probe(nodes, needs), strict=True) for line in _at(node, lines)
    ]
    if problems:
        raise UserError("\n  ".join(["the cluster's nodes cannot run trials of this study:", *problems]))


def _at(node: _Node, lines: Sequence[str]) -> list[str]:
    return [f"{node.host}: {line}" for line in lines]


def _nodes() -> list[_Node]:
    import ray

    return [
        _Node(
            host=node["NodeManagerHostname"],
            cpus=node["Resources"].get("CPU", 0.0),
            gpus=node["Resources"].get("GPU", 0.0),
            memory_bytes=node["Resources"].get("memory", math.inf),
            node_id=node["NodeID"],
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def _able(nodes: Sequence[_Node], needs: Needs) -> list[_Node]:
    """The nodes that are large enough for a trial.

    Raises:
        UserError: There is none.
    """
    most = max((node.cpus for node in nodes), default=0.0)
    if most < needs.threads:
        raise UserError(
            f"a trial takes {needs.threads} processor cores, the largest node of the cluster has {most:g}",
            fix="raise --concurrent: a trial takes the cores of the driver's machine, divided by it",
        )
    able = [node for node in nodes if node.cpus >= needs.threads and (node.gpus or not needs.gpu)]
    if not able:
        raise UserError(
            f"the study trains on cuda, no node of the cluster with {needs.threads} cores has a GPU",
            fix="add such a node, or start a study with --device cpu",
        )
    roomy = [node for node in able if node.memory_bytes >= needs.memory_bytes]
    if not roomy:
        most = max(node.memory_bytes for node in able)
        raise UserError(
            f"a process that trains takes at least {needs.memory_bytes / 1e6:,.0f} MB of memory, the largest "
            f"node that could has {most / 1e6:,.0f} MB for Ray",
            fix="give the nodes more memory, or lower --array",
        )
    return roomy


def _probe(nodes: Sequence[_Node], needs: Needs) -> list[list[str]]:
    """What is wrong on each of the nodes, found by looking from there."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def ask(node: _Node) -> Any:
        strategy = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        return ray.remote(num_cpus=0, scheduling_strategy=strategy)(missing_here).remote(needs)

    answers = [ask(node) for node in nodes]
    fetched = any(split.remote for split in needs.read)
    try:
        found: list[list[str]] = ray.get(answers, timeout=None if fetched else _PROBE_S)
    except RayError as error:
        raise UserError(f"a node of the cluster cannot start this program: {_first_line(error)}") from error
    return found


def missing_here(needs: Needs) -> list[str]:
    """What of ``needs`` this machine lacks, a line each; data that it can fetch are here afterwards."""
    lines = [line for split in needs.read if (line := _unreadable_here(needs.task, split))]
    if not os.access(needs.write, os.W_OK) or not (needs.write / "journal.jsonl").exists():
        lines.append(
            f"cannot write the study in {needs.write}; set HPO_RUNS to a folder that every node sees"
        )
    return lines


def _unreadable_here(task: str, split: SplitRef) -> str | None:
    try:
        found = task_named(task)
    except UserError as error:
        return error.message
    try:
        found.open_split(split)
    except (UserError, OSError) as error:
        if split.remote is None:
            return f"cannot read the data in {split.path}; set HPO_CACHE to a folder that every node sees"
        return str(getattr(error, "message", error))
    return None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]

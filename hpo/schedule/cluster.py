"""Connection to a Ray cluster, and checks of its nodes before the first trial."""

import math
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from hpo.config.environment import is_job
from hpo.journal.continuing import resume_command
from hpo.schedule.code_package import packaged_code
from hpo.schedule.ray_start import before_importing_ray, start_ray, stop_ray
from hpo.schedule.ray_watch import ended_when_lost
from hpo.tasks.base.registry import task_named
from hpo.tasks.base.splits import SplitRef
from model.errors import UserError

_ANSWER_S = 10.0
_LOOK_S, _LOST_S = 5.0, 45.0
"""Seconds between two looks at the head of the cluster, and for which it must be lost. After 60 s without it
Ray itself ends the process, with a line of its log."""
_PROBE_S = 120.0
"""Time limit for the check of all nodes. The first call on a node unpacks the code and starts Python."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRequirements:
    """Requirements of trials on the nodes that train them."""

    task: str
    """Name of the task, which opens the data."""
    threads: int
    """Processor cores per trial."""
    gpu: bool
    """True if trials need a GPU."""
    memory_bytes: int
    """Minimum memory of a process that trains."""
    splits: tuple[SplitRef, ...]
    """Splits of the data to read."""
    study: Path
    """Folder of the study, which trials write to."""


@dataclass(frozen=True, slots=True)
class _Node:
    host: str
    address: str
    cpus: float
    gpus: float
    memory_bytes: float
    node_id: str


@contextmanager
def cluster_session(address: str, requirements: NodeRequirements) -> Iterator[None]:
    """Connect to the Ray cluster at ``address`` inside the context.

    Raises:
        UserError: The cluster does not answer, or none of its nodes can run the trials.
    """
    with connected(address, requirements.task) as found:
        _check(requirements)
        study = requirements.study.name
        with ended_when_lost(lambda: _lost(found, study), every_s=_LOOK_S, after_s=_LOST_S):
            yield


@contextmanager
def connected(address: str, task: str | None = None) -> Iterator[str]:
    """Connect to the Ray cluster at ``address`` inside the context, without a check of its nodes.

    Args:
        address: The address, or ``auto`` for the cluster of this machine.
        task: Name of a task whose code the nodes need.

    Yields:
        The address as host:port.

    Raises:
        UserError: The cluster does not answer.
    """
    before_importing_ray()
    found = _found(address)
    _connect(found, task)
    try:
        yield found
    finally:
        stop_ray()


def gpus_of_nodes() -> list[int]:
    """Return the number of GPUs of every node of the connected cluster."""
    return [int(node.gpus) for node in _nodes()]


def share_of_a_node(device: str) -> dict[str, float]:
    """Return the resources of one of as many equal jobs as the nodes of the connected cluster hold.

    Each job has a whole GPU with its share of the cores, or on processors all cores of the smallest node.

    Raises:
        UserError: No node has the device.
    """
    able = [node for node in _nodes() if node.cpus >= 1 and (device == "cpu" or node.gpus >= 1)]
    if not able:
        raise UserError(f"no node of the cluster has a {'GPU' if device == 'cuda' else 'free core'}")
    if device == "cpu":
        return {"num_cpus": min(node.cpus for node in able)}
    return {"num_gpus": 1, "num_cpus": max(1, min(node.cpus // node.gpus for node in able))}


def _connect(address: str, task: str | None) -> None:
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # its types leave it out
    from ray.exceptions import RayError

    _require_answer(address)
    with packaged_code(task=task) as package, TemporaryFile() as output:
        # A job already has its code.
        runtime_env = None if is_job() else package.runtime_env
        try:
            with _standard_error_to(output):
                GcsClient(address=address)  # is refused a wrong token at once, where Ray tries for 20 seconds
                start_ray(address=address, runtime_env=runtime_env)
        except (ConnectionError, RuntimeError, ValueError, RayError) as error:
            output.seek(0)
            # Ray says so in its log alone, once a second for 20 seconds.
            if b"InvalidAuthToken" in output.read():
                raise UserError(
                    f"the Ray cluster at {address} needs a token, which is missing or wrong",
                    fix="set RAY_AUTH_TOKEN to the token of the cluster",
                ) from error
            raise _unusable(address, str(error)) from error


@contextmanager
def _standard_error_to(file: IO[bytes]) -> Iterator[None]:
    """Write what this process and its libraries write to standard error to a file, inside the context."""
    before = os.dup(2)
    try:
        os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _require_answer(address: str) -> None:
    """Raise a clear error at once where Ray would raise an unclear one, or only after minutes."""
    if address.startswith("ray://"):
        raise _unusable(address, "Ray Tune does not support the Ray client (ray://)")
    try:
        _knock(address)
    except (OSError, ValueError, OverflowError) as error:
        raise _unusable(address, str(error)) from error


def _knock(address: str) -> None:
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()


def _found(address: str) -> str:
    """Return the address that Ray finds for ``auto``: that of a cluster which may have ended since."""
    if address != "auto":
        return address
    from ray._private.services import canonicalize_bootstrap_address_or_die

    try:
        return str(canonicalize_bootstrap_address_or_die("auto"))
    except (ConnectionError, ValueError) as error:
        raise _unusable(address, str(error)) from error


def _lost(address: str, study: str) -> UserError | None:
    """Return the error if the head of the cluster does not answer."""
    try:
        _knock(address)
    except OSError as error:
        resume = resume_command(study, cluster=address)
        return UserError(
            f"the Ray cluster at {address} is lost: {error}",
            fix=f"nothing is lost of the study; when the cluster is back, continue with {resume}",
        )
    return None


def _unusable(address: str, why: str) -> UserError:
    return UserError(
        f"cannot use a Ray cluster at {address}: {why.strip().splitlines()[0]}",
        fix="on a machine of the cluster, give --ray-address HOST:PORT of its head (ray health-check "
        "--address HOST:PORT asks whether it runs) and set RAY_AUTH_TOKEN; elsewhere, use hpo submit",
    )


def _check(requirements: NodeRequirements) -> None:
    nodes = _able(_nodes(), requirements)
    found = _probe(nodes, requirements)
    problems = [line for node, lines in zip(nodes, found, strict=True) for line in _at(node, lines)]
    if problems:
        raise UserError("\n  ".join(["nodes of the cluster cannot run trials of this study:", *problems]))


def _at(node: _Node, lines: Sequence[str]) -> list[str]:
    return [f"{node.host} ({node.address}): {line}" for line in lines]


def _nodes() -> list[_Node]:
    import ray

    return [
        _Node(
            host=node["NodeManagerHostname"],
            address=node["NodeManagerAddress"],
            cpus=node["Resources"].get("CPU", 0.0),
            gpus=node["Resources"].get("GPU", 0.0),
            memory_bytes=node["Resources"].get("memory", math.inf),
            node_id=node["NodeID"],
        )
        for node in ray.nodes()
        if node["Alive"]
    ]


def _able(nodes: Sequence[_Node], requirements: NodeRequirements) -> list[_Node]:
    """The nodes that are large enough for a trial.

    Raises:
        UserError: There is none.
    """
    most = max((node.cpus for node in nodes), default=0.0)
    if most < requirements.threads:
        raise UserError(
            f"a trial needs {requirements.threads} processor cores, but the largest node of the cluster has "
            f"{most:g}",
            fix="raise --concurrent: a trial uses the cores of the driver's machine, divided by it",
        )
    able = [
        node for node in nodes if node.cpus >= requirements.threads and (node.gpus or not requirements.gpu)
    ]
    if not able:
        raise UserError(
            f"the study trains on cuda, but no node with {requirements.threads} cores has a GPU",
            fix="add such a node, or start a study with --device cpu",
        )
    roomy = [node for node in able if node.memory_bytes >= requirements.memory_bytes]
    if not roomy:
        most = max(node.memory_bytes for node in able)
        raise UserError(
            f"a process that trains needs at least {requirements.memory_bytes / 1e6:,.0f} MB of memory, but "
            f"the largest suitable node of the cluster has {most / 1e6:,.0f} MB for Ray",
            fix="give the nodes more memory, or lower --array",
        )
    return roomy


def _probe(nodes: Sequence[_Node], requirements: NodeRequirements) -> list[list[str]]:
    """Check the requirements on each node and return the problems per node."""
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def ask(node: _Node) -> Any:
        strategy = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        check = ray.remote(num_cpus=0, scheduling_strategy=strategy)(problems_on_this_node)
        return check.remote(requirements)

    answers = [ask(node) for node in nodes]
    fetched = any(split.remote for split in requirements.splits)
    try:
        found: list[list[str]] = ray.get(answers, timeout=None if fetched else _PROBE_S)
    except RayError as error:
        raise UserError(f"a node of the cluster cannot start this program: {_last_line(error)}") from error
    return found


def problems_on_this_node(requirements: NodeRequirements) -> list[str]:
    """Return the requirements that this machine does not meet, one line each.

    The check copies data that the machine can fetch into its cache.
    """
    splits, study = requirements.splits, requirements.study
    lines = [line for split in splits if (line := _unreadable_here(requirements.task, split))]
    if not os.access(study, os.W_OK) or not (study / "journal.jsonl").exists():
        lines.append(f"cannot write to the study in {study}; set HPO_RUNS to a folder that all nodes share")
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
            return f"cannot read the data in {split.path}; set HPO_CACHE to a folder that all nodes share"
        return str(getattr(error, "message", error))
    return None


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]

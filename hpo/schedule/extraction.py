"""Extraction of features on the nodes of a Ray cluster, several videos at once."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from hpo.schedule.cluster import share_of_a_node
from model.errors import UserError
from model.features.decoding import Gap
from model.features.extraction import ExtractionHere, Note, PartJob, Progress
from model.features.networks import FeatureNetwork, load_network

_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class NetworkSource:
    """Network as every node loads it."""

    model: str
    """Name in timm, or path of a file of one's own."""
    weights: Path | None
    """File of the weights. None: the node's own copy of timm's."""
    device: str
    """``cpu`` or ``cuda``."""


@dataclass(frozen=True, slots=True)
class ExtractionOnCluster:
    """Extracts the features of videos on the connected cluster; nodes see all files at the same paths."""

    root: Path
    """The data folder."""
    network: NetworkSource
    note: Note
    """Called with every gap of a video."""
    progress: Progress
    """Called with the name of a part, its frames done and its frames expected (0: unknown)."""

    def __call__(self, jobs: Sequence[PartJob]) -> int:
        """Extract the features of ``jobs``; return how many frames were computed.

        A job whose node dies continues on another one, with the rows that are on disk.

        Raises:
            UserError: A node does not see the files or has other weights, or a video cannot be read.
        """
        import ray
        from ray.util.queue import Queue

        messages = Queue(actor_options={"num_cpus": 0})
        task = ray.remote(**share_of_a_node(self.network.device))(_extract)
        waiting = [task.remote(self.root, self.network, _absolute(job), messages) for job in jobs]
        computed = 0
        while waiting:
            ended, waiting = ray.wait(waiting, timeout=_POLL_S)
            self._show(messages)
            computed += sum(map(_result, ended))
        self._show(messages)
        return computed

    def _show(self, messages: Any) -> None:
        for call, arguments in messages.get_nowait_batch(messages.qsize()):
            (self.note if call == "note" else self.progress)(*arguments)


def _absolute(job: PartJob) -> PartJob:
    """Return the job with paths that mean the same in another process."""
    target = replace(job.target, folder=job.target.folder.resolve())
    return replace(job, video=job.video.resolve(), target=target)


def _result(reference: Any) -> int:
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        computed: int = ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise
    except RayError as error:
        raise UserError(
            f"the nodes of the cluster cannot extract features: {str(error).strip().splitlines()[-1]}",
            fix="the same command continues with what is on disk",
        ) from error
    return computed


def _extract(root: Path, source: NetworkSource, job: PartJob, messages: Any) -> int:
    """Extract the features of one video on this node."""

    # Ray lends the cores of a job that waits for an answer to the next job, so that none waits here.
    def note(video: Path, gap: Gap) -> None:
        messages.actor.put_nowait.remote(("note", (video, gap)))

    def progress(name: str, done: int, total: int) -> None:
        messages.actor.put_nowait.remote(("progress", (name, done, total)))

    try:
        _check_node(root, source, job)
        here = ExtractionHere(_loaded(source), torch.device(source.device), note, progress)
        computed = here([job])
    except UserError as error:
        error.details["node"] = socket.gethostname()
        raise
    messages.qsize()  # answered once all that was sent before has come
    return computed


@cache
def _loaded(source: NetworkSource) -> FeatureNetwork:
    """Load the network once a process, which extracts one video after the other."""
    return load_network(source.model, source.weights, torch.device(source.device))


def _check_node(root: Path, source: NetworkSource, job: PartJob) -> None:
    """Check that this node sees the folder and has the network of the recipe.

    Raises:
        UserError: It does not.
    """
    if not (root / "dataset.toml").is_file():
        raise UserError(
            "a node of the cluster does not see the data folder",
            folder=root,
            fix="pass --to a folder that all nodes reach under the same path",
        )
    found = _loaded(source).weights
    if found != job.recipe.weights:
        raise UserError(
            f"a node of the cluster has other weights of {source.model} ({found[:12]}...) than this machine "
            f"({job.recipe.weights[:12]}...)",
            fix="give --weights FILE that all nodes have at the same path",
        )

"""GPUs of the machines that train: their number, and short measurements on one of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TypeVar

from hpo.schedule.cluster import connected, gpus_of_nodes
from hpo.schedule.local_ray import ray_session
from hpo.schedule.ray_start import before_importing_ray
from model.errors import UserError

WAIT_S = 600.0
"""Time limit of the wait for a GPU that another study uses."""

T = TypeVar("T")


class TrainingGpus:
    """GPUs of this machine, or of the nodes of a Ray cluster if trials run there."""

    def __init__(self, address: str | None, task: str) -> None:
        """Look at this machine or at a cluster.

        Args:
            address: Address of the Ray cluster that trains; None: this machine.
            task: Name of the task, whose code a cluster needs.
        """
        self._address, self._task = address, task

    @cached_property
    def count(self) -> int:
        """Number of GPUs.

        Raises:
            UserError: The cluster does not answer.
        """
        if self._address is None:
            return local_gpus()
        with self._session():
            return sum(gpus_of_nodes())

    def measure(self, function: Callable[..., T], *args: object) -> T:
        """Call ``function`` on a GPU, in a process that ends afterwards.

        A process that has used a GPU keeps a part of its memory until it ends, and a GPU in exclusive mode
        would refuse the trials. On a cluster, the driver's machine may have no GPU at all.

        Raises:
            UserError: The measurement fails, or no GPU becomes free.
        """
        with self._session():
            import ray
            from ray.exceptions import GetTimeoutError, RayError

            process = ray.remote(num_gpus=1, num_cpus=1)(_Process).remote()
            try:
                ray.get(process.wait.remote(), timeout=WAIT_S)
                # Without a limit: it may have to download its data first.
                result: T = ray.get(process.call.remote(function, *args))
            except UserError:
                raise
            except GetTimeoutError:
                raise UserError(
                    f"no GPU was free for a measurement within {WAIT_S / 60:g} minutes",
                    fix="wait for the other studies, or start a study with --device cpu",
                ) from None
            except RayError as error:
                reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
                raise UserError(f"a measurement on the GPU failed: {reason}") from error
            finally:
                with suppress(RayError):
                    ray.kill(process)
        return result

    @contextmanager
    def _session(self) -> Iterator[None]:
        if self._address is None:
            with ray_session(cpus=1, gpus=self.count):
                yield
            return
        before_importing_ray()
        import ray

        if ray.is_initialized():  # by the study whose stage is measured
            yield
        else:
            with connected(self._address, self._task):
                yield


class _Process:
    """A process that has a GPU."""

    def wait(self) -> None:
        """Return once the process has its GPU."""

    def call(self, function: Callable[..., T], *args: object) -> T:
        """Call a function."""
        return function(*args)


def local_gpus() -> int:
    """Return the number of GPUs of this machine, without using one."""
    import torch

    return torch.cuda.device_count()

"""Training of trials with Ray Tune, on this machine or on a cluster."""

import errno
import math
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hpo.config.plain_paths import plain_path
from hpo.schedule.array_pool import CALLER_CPUS, ArrayPool
from hpo.schedule.local_ray import RayDeath, WorkersLostError, death_of_ray
from hpo.schedule.ray_start import quiet_ray
from hpo.schedule.trial_source import TrialSource
from model.errors import StorageError, UserError
from model.shell import shell_line

TUNE_FOLDER = "tune"
"""Name of the folder in a study's folder that Ray Tune writes to."""
RESTARTS = 2
"""Number of times that a trial whose process died resumes from its checkpoint before it fails."""
NO_ARRAY_S = 60.0
"""Seconds without an array after which the user is told that the study waits for one."""
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallelism:
    """Numbers of trials, processes and processor cores with which a stage trains."""

    concurrent: int
    """Number of trials that run at the same time."""
    array: int
    """Number of trials that one process trains together."""
    cpus: int
    """Processor cores for all processes together."""
    gpu: bool
    """True to train on GPUs. Processes share a GPU if there are more processes than GPUs."""

    @property
    def processes(self) -> int:
        """Number of processes that train."""
        return math.ceil(self.concurrent / self.array)

    @property
    def threads(self) -> int:
        """Processor cores per process."""
        return max(1, self.cpus // self.processes)


def run_trials(
    source: TrialSource, parallelism: Parallelism, *, storage: Path, hangs_after_s: float | None = None
) -> None:
    """Train all trials of ``source``; Ctrl-C stops the training.

    Args:
        source: Provides the trials and records their results; called in this thread.
        parallelism: Numbers of concurrent trials, processes and cores.
        storage: Folder of the study. Tune's own files are written to a subfolder, which is deleted first.
        hangs_after_s: Seconds without a validation after which the process of a trial is killed; None: never.

    Raises:
        StorageError: The study's folder cannot be written.
        RayDiedError: A process of Ray ended.
        UserError: A process has imported other code than the study was started with.
        WorkersLostError: Ray ended processes of trials because a machine was nearly out of memory, or no
            array answers.
    """
    from ray import tune
    from ray.exceptions import RayError

    from hpo.schedule.adapter import (
        NoReporter,
        StudyCallback,
        StudyScheduler,
        StudySearcher,
        StudyStopper,
    )
    from hpo.schedule.hang_detector import HangDetector
    from hpo.schedule.interruption import Interrupter
    from hpo.trial.trainable import TrialTrainable

    shutil.rmtree(storage / TUNE_FOLDER, ignore_errors=True)
    gpu_share = _gpu_share(parallelism.processes) if parallelism.gpu else 0.0
    resources = {"cpu": float(parallelism.threads), "gpu": gpu_share}
    arrays = None
    if parallelism.array > 1:
        resources = {"cpu": CALLER_CPUS}
        arrays = ArrayPool(
            arrays=parallelism.processes,
            slots=parallelism.array,
            threads=parallelism.threads,
            gpus=gpu_share,
        )
    detector, interrupter = HangDetector(source, arrays, limit_s=hangs_after_s), Interrupter(source)
    with quiet_ray(), _storage_errors(storage):
        tuner = tune.Tuner(
            tune.with_resources(TrialTrainable, resources),
            tune_config=tune.TuneConfig(
                search_alg=StudySearcher(source, parallelism.threads, arrays),
                scheduler=StudyScheduler(source, arrays, interrupter),
                max_concurrent_trials=parallelism.concurrent,
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: str(trial.config["spec"]["trial"]),
            ),
            run_config=tune.RunConfig(
                name=TUNE_FOLDER,
                storage_path=str(plain_path(storage)),
                stop=StudyStopper(source),
                callbacks=[StudyCallback(source, arrays, detector, interrupter)],
                failure_config=tune.FailureConfig(max_failures=RESTARTS),
                # Trials write their own; with one more at the end Tune would keep the last result in memory.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                progress_reporter=NoReporter(),
                verbose=0,
            ),
        )
        try:
            if arrays is None or _has_started(arrays, source):
                tuner.fit()
        except RayDeath as death:
            raise death.error(storage.name) from None
        except RuntimeError as error:
            # Tune knows two of Ray's errors and ends all training at any other.
            if isinstance(error.__cause__, RayError):
                raise _lost_workers(error.__cause__) from error
            raise
        except tune.TuneError as error:
            # Tune replaces what its scheduler raises.
            raise next((cause for cause in _chain(error) if isinstance(cause, UserError)), error) from None
        finally:
            if arrays and death_of_ray() is None:
                arrays.close()


def _has_started(arrays: ArrayPool, source: TrialSource) -> bool:
    """Wait until an array answers; return False if all training should end before.

    No trial can start earlier. Without one, Tune waits for up to 10 minutes, deaf to signals and budgets.
    """
    note_at = time.monotonic() + NO_ARRAY_S
    while not arrays.answers():
        if death := death_of_ray():
            raise death
        if source.should_end():
            return False
        if time.monotonic() >= note_at:
            source.add_note("no process that trains trials has started yet: the study waits for a free place")
            note_at = math.inf
        time.sleep(_LOOK_S)
    return True


@contextmanager
def _storage_errors(storage: Path) -> Iterator[None]:
    """Replace Tune's long error by a clear one when the study's folder cannot be written."""
    try:
        yield
    except Exception as error:
        reason = next(filter(None, map(_unwritable, _chain(error))), None)
        if reason is None:
            raise
        resume = shell_line("hpo", "resume", storage.name)
        fix = f"remove the cause (space, quota, permissions or memory), then continue with {resume}"
        raise StorageError(reason, folder=storage, fix=fix) from error


def _lost_workers(error: Exception) -> WorkersLostError:
    from ray.exceptions import OutOfMemoryError

    why = "a machine was nearly out of memory"
    if not isinstance(error, OutOfMemoryError):
        why = (str(error).splitlines() or [type(error).__name__])[0]
    return WorkersLostError(f"Ray ended processes of trials: {why}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _unwritable(error: BaseException) -> str | None:
    if isinstance(error, StorageError):
        return error.message
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"Ray Tune cannot write its files: {error.strerror}"
    return None


def _gpu_share(processes: int) -> float:
    import ray

    gpus = max(1, int(ray.cluster_resources().get("GPU", 1)))
    return 1 / math.ceil(processes / gpus)

"""Number format of a study, and number of trials that a process trains together; some of it is measured."""

from hpo.config.environment import Environment
from hpo.config.stages import Stage
from hpo.config.study_file import StudyFile
from hpo.schedule.gpus import TrainingGpus
from hpo.tasks.base.registry import task_named
from hpo.tasks.base.splits import DataShape, SplitRef
from hpo.tasks.base.task import LARGEST_ARRAY, TrialTime
from model.errors import ConfigError
from model.precision import Precision


def chosen_precision(
    study: StudyFile, shape: DataShape, train: SplitRef, device: str, environment: Environment
) -> Precision:
    """Return the number format of the study file; for ``auto``, what suits the device that trains."""
    if device == "cpu":
        return _precision(study, shape, train, device)
    return TrainingGpus(environment.ray_address, study.task).measure(_precision, study, shape, train, device)


def parallel_settings(
    study: StudyFile,
    stage: Stage,
    shape: DataShape,
    train: SplitRef,
    precision: Precision,
    environment: Environment,
) -> dict[str, int]:
    """Return ``concurrent`` and ``array`` of a stage that trains on GPUs, measured if they are ``auto``.

    Every GPU has an array of its own. A search runs as many trials at a time as it can use.

    Raises:
        UserError: There is no GPU any more, or a measurement fails.
    """
    gpus = TrainingGpus(environment.ray_address, study.task)
    if not gpus.count:
        raise ConfigError(
            "the study trains on cuda, but there is no GPU here",
            fix="run this stage where the study was started, or start another study with --device cpu",
        )
    useful = stage.useful_at_once() or gpus.count * LARGEST_ARRAY
    wanted = useful if stage.concurrent == "auto" else stage.concurrent
    if stage.array == "auto":
        most = min(-(-wanted // gpus.count), LARGEST_ARRAY)
        array = gpus.measure(_array, study, shape, train, precision, most) if most > 1 else 1
    else:
        array = stage.array
    concurrent = min(wanted, array * gpus.count) if stage.concurrent == "auto" else wanted
    return {"concurrent": concurrent, "array": min(array, concurrent)}


def measured_time(
    study: StudyFile,
    shape: DataShape,
    splits: tuple[SplitRef, SplitRef],
    precision: Precision,
    device: str,
    array: int,
    threads: int,
    environment: Environment,
) -> TrialTime | None:
    """Estimate the duration of a trial on the device that trains; see ``Task.trial_time``."""
    arguments = (study, shape, splits, precision, device, array, threads)
    if device == "cpu":
        return _time(*arguments)
    return TrainingGpus(environment.ray_address, study.task).measure(_time, *arguments)


def _precision(study: StudyFile, shape: DataShape, train: SplitRef, device: str) -> Precision:
    import torch  # commands that only read a study do without

    task = task_named(study.task)
    return task.precision(study, shape, task.open_split(train), torch.device(device))


def _array(study: StudyFile, shape: DataShape, train: SplitRef, precision: Precision, most: int) -> int:
    import torch  # commands that only read a study do without

    task = task_named(study.task)
    return task.array_size(study, shape, task.open_split(train), precision, torch.device("cuda"), most)


def _time(
    study: StudyFile,
    shape: DataShape,
    splits: tuple[SplitRef, SplitRef],
    precision: Precision,
    device: str,
    array: int,
    threads: int,
) -> TrialTime | None:
    import torch  # commands that only read a study do without

    torch.set_num_threads(threads)
    task = task_named(study.task)
    train, valid = (task.open_split(split) for split in splits)
    return task.trial_time(study, shape, (train, valid), precision, torch.device(device), array)

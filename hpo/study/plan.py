"""The plan of a study: everything that a resume must find again, settled before the first trial."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import joblib
import torch

from hpo.config.environment import Environment
from hpo.config.stages import SearchStage
from hpo.config.study_file import StudyFile
from hpo.schedule.tuner import Parallelism
from hpo.space.space import Parameters
from hpo.tasks.base.places import is_uri
from hpo.tasks.base.registry import AnyTask, load_study, parse_study, task_named
from hpo.tasks.base.splits import DataRequest, DataShape, OpenedData, Progress, SplitRef
from hpo.tasks.base.task import Shared
from model.errors import ConfigError
from model.precision import Precision
from model.training.seeding import stream_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRequest:
    """What was typed of a new study; None leaves the choice to the study file or the data."""

    study_file: str
    data: str
    """Folder of the data, or a URI."""
    features: str | None = None
    counts: tuple[int, int] | None = None
    """First items of the training and validation splits to use."""
    epochs: int | None = None
    seed: int = 0
    device: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRequest:
    """A stage to run."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """Keys of its table in the study file that were typed; None leaves the choice to the file."""
    start: Parameters = field(default_factory=dict)
    """The configuration to start from; empty: what the stages before it found."""
    warm_start: str | None = None
    """The study whose scores a search learns from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """A study that is ready to run."""

    study: StudyFile
    """With what was typed put in."""
    data: str
    """Folder of the data, or a URI."""
    dataset: str
    """Name of data and features for people, such as ``soccernet-v1/resnet``."""
    features: str
    shape: DataShape
    train: SplitRef
    valid: SplitRef
    data_digest: str
    precision: Precision
    device: str
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON for the journal."""
        record = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            **record,
            "study": self.study.model_dump(mode="json"),
            "shape": self.task.shape_to_json(self.shape),
            "train": asdict(self.train),
            "valid": asdict(self.valid),
        }

    @classmethod
    def from_json(cls, record: dict[str, Any], *, file: str) -> Self:
        """Read what ``to_json`` wrote; ``file`` names the journal in errors."""
        study = parse_study(record["study"], file=file)
        return cls(
            **{
                **record,
                "study": study,
                "shape": task_named(study.task).shape_from_json(record["shape"]),
                "train": SplitRef.from_json(record["train"]),
                "valid": SplitRef.from_json(record["valid"]),
            }
        )

    @property
    def task(self) -> AnyTask:
        """What is optimised."""
        return task_named(self.study.task)

    @property
    def data_seed(self) -> int:
        """Seed of the chunks that all trials see."""
        return chunk_seed(self.seed)

    @property
    def search_seed(self) -> int:
        """Seed of the searcher."""
        return stream_seed(self.seed, "search")

    def shared(self) -> Shared:
        """What all trials have in common."""
        return self.task.shared(self.study, self.shape, self.precision)

    def own_configuration(self) -> Parameters:
        """Every hyperparameter as the study file has it."""
        return self.task.own_configuration(self.study, self.shape)

    def seed_of(self, replicate: int) -> int:
        """Seed of a trial's weights and, by ``chunk_seed``, of the chunks it sees."""
        return self.seed + replicate

    def data_request(self, cache: Path) -> DataRequest:
        """What to ask for to get the data of the study again."""
        counts = (self.train.items, self.valid.items)
        return DataRequest(place=self.data, features=self.features, counts=counts, cache=cache)

    def with_stage(self, name: str, settings: Mapping[str, Any]) -> "StudyPlan":
        """The plan with the table of one stage replaced, and the training as long as the stage says.

        Raises:
            ConfigError: The settings cannot be used.
        """
        document = self.study.model_dump(mode="json")
        document["stages"][name] = dict(settings)
        document["training"]["epochs"] = settings.get("epochs") or document["training"]["epochs"]
        study = parse_study(document, file=f"stage {name} with the options given")
        stage = study.stages.named(name)
        if isinstance(stage, SearchStage) and stage.scheduler != "none":
            stage.grace(study.training.epochs)
        return replace(self, study=study)

    def parallelism(self, stage: str) -> Parallelism:
        """Where the trials of a stage are trained; an array that is not chosen yet counts as one trial."""
        settings = self.study.stages.named(stage)
        array = 1 if settings.array == "auto" else min(settings.array, settings.concurrent)
        return Parallelism(
            concurrent=settings.concurrent, array=array, cpus=available_cpus(), gpu=self.device == "cuda"
        )


def chunk_seed(seed: int) -> int:
    """Seed of the chunks of all trials that share ``seed``."""
    return stream_seed(seed, "chunks")


def stage_settings(plan: StudyPlan, request: StageRequest) -> dict[str, Any]:
    """The table of a stage with what was typed put in.

    Raises:
        ConfigError: No such stage, or an option that it cannot use.
    """
    settings: dict[str, Any] = plan.study.stages.named(request.name).model_dump(mode="json")
    settings |= {key: value for key, value in request.options.items() if value is not None}
    staged = plan.with_stage(request.name, settings)
    if settings["array"] == "auto":
        settings["array"] = _measured_array(staged, settings["concurrent"])
    return settings


def _measured_array(plan: StudyPlan, concurrent: int) -> int:
    """One on a processor: an array trains its trials in turns there, and processes keep all cores busy."""
    if plan.device == "cpu":
        return 1
    train, device = plan.task.open_split(plan.train), torch.device(plan.device)
    return plan.task.array_size(plan.study, plan.shape, train, plan.precision, device, concurrent)


def make_plan(
    request: StudyRequest, environment: Environment, progress: Progress, *, stages: Sequence[str] = ()
) -> StudyPlan:
    """Settle everything: read the data into the cache, check the settings on it, measure what is ``auto``.

    Raises:
        UserError: The study file, the data or the request cannot be used.
    """
    study = _with_request(load_study(request.study_file), request)
    for stage in stages:
        study.stages.named(stage)
    device = choose_device(request.device)
    task = task_named(study.task)
    if is_uri(request.data) and not task.takes_uri:
        raise ConfigError(f"data of the task {study.task} are read from a folder", fix="use --data DIR")
    wanted = DataRequest(
        place=request.data, features=request.features, counts=request.counts, cache=environment.cache
    )
    data = task.open_data(wanted, study, progress)
    torch.set_num_threads(available_cpus())
    train = task.open_split(data.train)
    return StudyPlan(
        study=study,
        data=request.data,
        precision=task.precision(study, data.shape, train, torch.device(device)),
        device=device,
        seed=request.seed,
        **_fields_of(data),
    )


def reopen_data(plan: StudyPlan, environment: Environment, progress: Progress) -> StudyPlan:
    """Find the data of a plan again, wherever the cache is now."""
    wanted = plan.data_request(environment.cache)
    return replace(plan, **_fields_of(plan.task.open_data(wanted, plan.study, progress)))


def _fields_of(data: OpenedData[Any]) -> dict[str, Any]:
    """Fields of the plan that come from the data."""
    return {
        "dataset": data.dataset,
        "features": data.features,
        "shape": data.shape,
        "train": data.train,
        "valid": data.valid,
        "data_digest": data.digest,
    }


def choose_device(wanted: str) -> str:
    """Resolve ``auto``: a GPU where there is one.

    Raises:
        ConfigError: Not a device, or ``cuda`` was asked for and there is none.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"expected --device auto, cpu or cuda, got {wanted!r}")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda was asked for, this machine has none", fix="use --device auto or cpu")
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return wanted


def available_cpus() -> int:
    """Return the number of logical cores that this process may use.

    That is the least of the machine's cores, those of the process's affinity, the quota of its container
    (rounded up) and the environment variable ``LOKY_MAX_CPU_COUNT``.
    """
    return int(joblib.cpu_count())


def _with_request(study: StudyFile, request: StudyRequest) -> StudyFile:
    document = study.model_dump(mode="json")
    if request.epochs is not None:
        document["training"]["epochs"] = request.epochs
    return parse_study(document, file=f"{request.study_file} with the options given")

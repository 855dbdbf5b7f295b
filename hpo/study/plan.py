"""The plan of a study: everything that a resume must find again, settled before the first trial."""

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import torch

from hpo.config.environment import Environment
from hpo.config.stages import STAGE_NAMES, SearchStage
from hpo.config.study_file import StudyFile, load_study_file, parse_study
from hpo.schedule.tuner import Places
from hpo.space.space import Parameters
from hpo.study.data import Progress, describe, open_games, reference
from hpo.trial.settings import DataShape, check_space, training_config, trial_config
from hpo.trial.task import SplitRef
from model.data.description import DatasetDescription
from model.errors import ConfigError
from model.precision import Precision
from model.timeline import FrameRate
from model.training.burst import faster_precision, fastest_array
from model.training.config import TrainingConfig, TrialConfig
from model.training.seeding import stream_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRequest:
    """What was typed of a new study; None leaves the choice to the study file or the data."""

    study_file: str
    data: str
    """Folder of games, or a URI."""
    features: str | None = None
    games: tuple[int, int] | None = None
    """First games of the training and validation splits to use."""
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
    """Folder of games, or a URI."""
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
        shape = {**asdict(self.shape), "frame_rate": self.shape.frame_rate.per_second}
        shape["classes"] = list(self.shape.classes)
        return {
            **record,
            "study": self.study.model_dump(mode="json"),
            "shape": shape,
            "train": asdict(self.train),
            "valid": asdict(self.valid),
        }

    @classmethod
    def from_json(cls, record: dict[str, Any], *, file: str) -> Self:
        """Read what ``to_json`` wrote; ``file`` names the journal in errors."""
        shape = record["shape"]
        return cls(
            **{
                **record,
                "study": parse_study(record["study"], file=file),
                "shape": DataShape(
                    dims=shape["dims"],
                    classes=tuple(shape["classes"]),
                    frame_rate=FrameRate(shape["frame_rate"]),
                ),
                "train": SplitRef.from_json(record["train"]),
                "valid": SplitRef.from_json(record["valid"]),
            }
        )

    @property
    def data_seed(self) -> int:
        """Seed of the chunks that all trials see."""
        return chunk_seed(self.seed)

    @property
    def search_seed(self) -> int:
        """Seed of the searcher."""
        return stream_seed(self.seed, "search")

    def training(self) -> TrainingConfig:
        """What all trials share."""
        return training_config(self.study, self.shape, precision=self.precision)

    def seed_of(self, replicate: int) -> int:
        """Seed of a trial's weights and, by ``chunk_seed``, of the chunks it sees."""
        return self.seed + replicate

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

    def places(self, stage: str) -> Places:
        """Where the trials of a stage are trained; an array that is not chosen yet counts as one trial."""
        settings = self.study.stages.named(stage)
        array = 1 if settings.array == "auto" else min(settings.array, settings.concurrent)
        return Places(
            concurrent=settings.concurrent, array=array, cpus=available_cpus(), gpu=self.device == "cuda"
        )

    def paper_trial(self) -> TrialConfig:
        """The trial with the study file's own hyperparameters."""
        return trial_config(self.study, {}, self.shape, seed=self.seed, data_seed=self.data_seed)


def chunk_seed(seed: int) -> int:
    """Seed of the chunks of all trials that share ``seed``."""
    return stream_seed(seed, "chunks")


def stage_settings(plan: StudyPlan, request: StageRequest) -> dict[str, Any]:
    """The table of a stage with what was typed put in.

    Raises:
        ConfigError: No such stage, or an option that it cannot use.
    """
    if request.name not in STAGE_NAMES:
        raise ConfigError(f"no stage is called {request.name!r}", known=", ".join(STAGE_NAMES))
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
    device, train = torch.device(plan.device), plan.train.open()
    return fastest_array(plan.paper_trial(), plan.training(), train, device, most=concurrent)


def make_plan(request: StudyRequest, environment: Environment, progress: Progress) -> StudyPlan:
    """Settle everything: read the data into the cache, check the settings on it, measure what is ``auto``.

    Raises:
        UserError: The study file, the data or the request cannot be used.
    """
    study = _with_request(load_study_file(request.study_file), request)
    description = describe(request.data, environment.cache)
    features = chosen_features(description, request.features)
    device = choose_device(request.device)
    plan = StudyPlan(
        study=study,
        data=request.data,
        dataset=f"{description.name}/{features}",
        features=features,
        precision="bfloat16" if study.training.precision == "bfloat16" else "float32",
        device=device,
        seed=request.seed,
        **_open_data(request, features, environment, progress),
    )
    check_space(study, plan.shape)
    return _with_measured_precision(plan)


def reopen_data(plan: StudyPlan, environment: Environment, progress: Progress) -> StudyPlan:
    """Find the data of a plan again, wherever the cache is now."""
    games = (plan.train.games, plan.valid.games)
    request = StudyRequest(study_file="", data=plan.data, games=games)
    return replace(plan, **_open_data(request, plan.features, environment, progress))


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
    """Processor cores that this process may use: those of the machine, or what its container is given."""
    return int(min(len(os.sched_getaffinity(0)), _container_cpus()))


def _container_cpus(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> float:
    """Whole cores in the quota of this container, at least one; without a quota all that there are."""
    try:
        allowed, period = quota.read_text().split()
        return max(1, int(allowed) // int(period))
    except (OSError, ValueError):
        return math.inf


def _with_request(study: StudyFile, request: StudyRequest) -> StudyFile:
    document = study.model_dump(mode="json")
    if request.epochs is not None:
        document["training"]["epochs"] = request.epochs
    return parse_study(document, file=f"{request.study_file} with the options given")


def chosen_features(description: DatasetDescription, wanted: str | None) -> str:
    """The features ``wanted``, or the only ones that the data has.

    Raises:
        ConfigError: None are named and the data has several.
    """
    if wanted is not None:
        return wanted
    if len(description.features) == 1:
        return next(iter(description.features))
    raise ConfigError(
        "the data has several features, one must be chosen",
        known=", ".join(description.features),
        fix="add --features NAME",
    )


def _open_data(
    request: StudyRequest, features: str, environment: Environment, progress: Progress
) -> dict[str, Any]:
    """Fields of the plan that come from the data."""
    stores = {}
    for index, split in enumerate(("train", "valid")):
        store = open_games(
            request.data, features=features, split=split, cache=environment.cache, progress=progress
        )
        stores[split] = store.first_games(request.games[index]) if request.games else store
    train, valid = stores["train"], stores["valid"]
    if train.dims != valid.dims:
        raise ConfigError(f"features have {train.dims} dimensions in train and {valid.dims} in valid")
    return {
        "shape": DataShape(dims=train.dims, classes=train.classes, frame_rate=train.frame_rate),
        "train": reference(train, request.data, features),
        "valid": reference(valid, request.data, features),
        "data_digest": f"{train.digest}+{valid.digest}",
    }


def _with_measured_precision(plan: StudyPlan) -> StudyPlan:
    if plan.study.training.precision != "auto":
        return plan
    torch.set_num_threads(plan.places("bayes").threads)
    device = torch.device(plan.device)
    precision = faster_precision(plan.paper_trial(), plan.training(), plan.train.open(), device)
    return replace(plan, precision=precision)

"""The plan of a study: everything that is fixed before the first trial and needed to resume."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from hpo.config.bounds import Bounds, with_bounds
from hpo.config.environment import Environment
from hpo.config.point_file import TypedPoints
from hpo.config.stages import SEARCH, SearchStage
from hpo.config.study_file import StudyFile, read_study_file
from hpo.journal.events import StudyCreated
from hpo.journal.journal import stored_creation
from hpo.journal.results import StudyState
from hpo.schedule.tuner import Parallelism
from hpo.space.space import Parameters
from hpo.study.devices import available_cpus, training_device
from hpo.study.folders import found_place
from hpo.study.measuring import chosen_precision, parallel_settings
from hpo.tasks.base.own_code import own_errors
from hpo.tasks.base.places import is_uri
from hpo.tasks.base.presentation.stage_presentation import StagePresentation
from hpo.tasks.base.registry import (
    AnyDescription,
    AnyTask,
    description_named,
    description_of,
    parse_study,
    task_named,
)
from hpo.tasks.base.score import Score
from hpo.tasks.base.splits import DataRequest, DataShape, OpenedData, Progress, SplitRef
from hpo.tasks.base.task import Shared
from model.errors import ConfigError
from model.precision import Precision
from model.training.seeding import stream_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRequest:
    """Typed options of a new study; the study file or the data decide on options that are None."""

    study_file: str
    """Name or path of the study file."""
    data: str
    """Folder of the data, or a URI."""
    settings: StudyFile | None = None
    """Settings of another study, in place of those of the study file."""
    features: str | None = None
    counts: tuple[int, int] | None = None
    """Numbers of training and validation items to use. None: all."""
    epochs: int | None = None
    trials: int | None = None
    """Number of configurations that a search tries, for a study file that names none."""
    labels: str | None = None
    """Version of the labels to read; None: the study file or the data decide."""
    skip_missing: bool = False
    """Whether to leave out items without features; False: the study file decides."""
    seed: int | None = None
    """Seed of the study. None: 0."""
    device: str = "auto"

    def load(self) -> StudyFile:
        """Read and validate the study file, whose search may lack the number of trials that was typed.

        Raises:
            ConfigError: The file cannot be read, is not valid TOML, or has invalid settings; all are listed.
        """
        document, file = read_study_file(self.study_file)
        stages = document.get("stages")
        search = stages.get(SEARCH) if isinstance(stages, dict) else None
        if self.trials is not None and isinstance(search, dict):
            search.setdefault("trials", self.trials)
        return parse_study(document, file=file)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRequest:
    """A stage to run."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """Typed options by key of the stage's table; the study file decides on options that are None."""
    table: Mapping[str, Any] | None = None
    """Table of the stage from another study file. None: the table of the study's own file."""
    start: Parameters = field(default_factory=dict)
    """Configuration to start from. Empty: the one that earlier stages found."""
    warm_start: str | None = None
    """Name of the study whose scores a search learns from."""
    tried: TypedPoints | None = None
    """Points that a search tries first, in place of those of the stage's table."""
    bounds: Bounds = ()
    """Other bounds of the space of a search, such as ``alpha2=0.5..200``."""

    @property
    def typed(self) -> dict[str, Any]:
        """Options on which the study file does not decide."""
        return {key: value for key, value in self.options.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """A study that is ready to run."""

    study: StudyFile
    """Study file with the typed options applied."""
    data: str
    """Folder of the data, or a URI."""
    dataset: str
    """Readable name of data and features, such as ``soccernet-v1/resnet``."""
    features: str
    shape: DataShape
    train: SplitRef
    valid: SplitRef
    data_digest: str
    precision: Precision
    device: str
    seed: int
    notices: tuple[str, ...] = ()
    """Notices for a user who trains on these data."""

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON for the journal."""
        record = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            **record,
            "study": self.study.model_dump(mode="json"),
            "shape": self.description.shape_to_json(self.shape),
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
                "shape": description_named(study.task).shape_from_json(record["shape"]),
                "train": SplitRef.from_json(record["train"]),
                "valid": SplitRef.from_json(record["valid"]),
                "notices": tuple(record.get("notices", ())),
            }
        )

    @property
    def task(self) -> AnyTask:
        """The task that is optimised."""
        return task_named(self.study.task)

    @property
    def description(self) -> AnyDescription:
        """Names, stages, score and presentation of the task."""
        return description_named(self.study.task)

    @property
    def score(self) -> Score:
        """The score that the study maximises."""
        return self.description.score_in(self.study.model_dump(mode="json"))

    @property
    def labels(self) -> str | None:
        """Version of the labels, as the study file or else the data say; None for labels without versions."""
        return self.study.labels or self.description.shape_to_json(self.shape).get("labels")

    @property
    def scoring(self) -> Mapping[str, Any]:
        """Settings of the score, such as its tolerances, apart from the classes in the mean."""
        scoring = self.study.model_dump(mode="json").get("scoring") or {}
        return {name: value for name, value in scoring.items() if name != "mean"}

    def presentation(self, stage: str) -> StagePresentation:
        """Return the tables, figures and notes of ``stage`` that suit data and score."""
        return self.description.presentation(stage).on(self.dataset, self.score)

    @property
    def data_seed(self) -> int:
        """Seed of the chunks that all trials see."""
        return chunk_seed(self.seed)

    @property
    def search_seed(self) -> int:
        """Seed of the searcher."""
        return stream_seed(self.seed, "search")

    def shared(self) -> Shared:
        """Return the settings that all trials have in common."""
        return self.task.shared(self.study, self.shape, self.precision)

    def own_configuration(self) -> Parameters:
        """Return the study file's values of all hyperparameters."""
        return self.task.own_configuration(self.study, self.shape)

    def seed_of(self, replicate: int) -> int:
        """Return the seed of a trial's weights and, by ``chunk_seed``, of its chunks."""
        return self.seed + replicate

    def data_request(self, cache: Path) -> DataRequest:
        """Return the request that opens the data of the study again."""
        counts = (self.train.items, self.valid.items)
        return DataRequest(
            place=self.data, features=self.features, counts=counts, cache=cache, labels=self.study.labels
        )

    def with_stage(self, name: str, settings: Mapping[str, Any]) -> "StudyPlan":
        """Return the plan with other settings of one stage, and with that stage's number of epochs.

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
        """Return how the trials of a stage run in parallel; unknown numbers count as one trial."""
        settings = self.study.stages.named(stage)
        concurrent = 1 if settings.concurrent == "auto" else settings.concurrent
        array = 1 if settings.array == "auto" else min(settings.array, concurrent)
        return Parallelism(
            concurrent=concurrent, array=array, cpus=available_cpus(), gpu=self.device == "cuda"
        )


def plan_of(folder: Path, created: StudyCreated) -> StudyPlan:
    """Return the plan with which a study was created.

    Raises:
        UserError: The task of the study is missing.
    """
    description_of(created)  # the fault of a missing task is not one of a study file
    plan = StudyPlan.from_json(created.plan, file=str(folder / "journal.jsonl"))
    return replace(plan, data=found_place(plan.data, folder))


def stored_plan(folder: Path) -> StudyPlan:
    """Return the plan of the study in ``folder`` with the present place of its data; reads no trials.

    Raises:
        UserError: There is no such study, or its journal is damaged.
    """
    return plan_of(folder, StudyState.replay(stored_creation(folder)).created)


def chunk_seed(seed: int) -> int:
    """Return the seed of the chunks of all trials that share ``seed``."""
    return stream_seed(seed, "chunks")


def stage_settings(plan: StudyPlan, request: StageRequest, environment: Environment) -> dict[str, Any]:
    """Return the settings of a stage with the typed options applied, and with ``auto`` numbers resolved.

    Raises:
        ConfigError: There is no such stage, or it cannot use an option.
        UserError: A measurement on a GPU fails.
    """
    table = request.table or plan.study.stages.named(request.name).model_dump(mode="json")
    settings = dict(table) | request.typed
    if request.bounds:
        settings["space"] = with_bounds(settings["space"], request.bounds)
    staged = plan.with_stage(request.name, settings)
    if "auto" not in (settings["concurrent"], settings["array"]):
        return settings
    if plan.device == "cpu":  # a processor trains an array's trials in turns
        return {**settings, **{key: 1 for key in ("concurrent", "array") if settings[key] == "auto"}}
    stage = staged.study.stages.named(request.name)
    return settings | parallel_settings(
        staged.study, stage, plan.shape, plan.train, plan.precision, environment
    )


def make_plan(
    request: StudyRequest, environment: Environment, progress: Progress, *, stages: Sequence[str] = ()
) -> StudyPlan:
    """Fix all settings: copy the data into the cache, check the settings on them, measure ``auto`` values.

    Raises:
        UserError: The study file, the data or the request cannot be used.
    """
    import torch  # commands that only read a study do without

    study = _with_request(request.settings or request.load(), request)
    study.stages.require(stages)
    task = task_named(study.task)
    device = training_device(request.device, study, environment)
    if is_uri(request.data) and not task.takes_uri:
        raise ConfigError(
            f"the task {study.task} reads its data from a folder, got a URI", fix="use --data FOLDER"
        )
    wanted = DataRequest(
        place=request.data,
        features=request.features,
        counts=request.counts,
        cache=environment.cache,
        labels=study.labels,
    )
    torch.set_num_threads(available_cpus())
    with own_errors(study.task):
        data = task.open_data(wanted, study, progress)
        _refuse_ignored_options(wanted, data, task)
        precision = chosen_precision(study, data.shape, data.train, device, environment)
    return StudyPlan(
        study=study,
        data=request.data,
        precision=precision,
        device=device,
        seed=request.seed or 0,
        **_fields_of(data),
    )


def _refuse_ignored_options(wanted: DataRequest, data: OpenedData[Any], task: AnyTask) -> None:
    """Check that a task has used the typed options."""
    used = (data.train.items, data.valid.items)
    most = (data.train.items + data.train.left_out, data.valid.items + data.valid.left_out)
    for option, typed, accepted in (
        ("--features", wanted.features, (data.features,)),
        ("--games", wanted.counts, (used, most)),
    ):
        if typed is not None and typed not in accepted:
            raise ConfigError(
                f"the task {task.name} ignores {option} {_typed(typed)}: it used {_typed(accepted[0])}",
                fix=f"leave {option} out, or make open_data of the task follow its request",
            )


def _typed(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def reopen_data(plan: StudyPlan, environment: Environment, progress: Progress) -> StudyPlan:
    """Open the data of a plan again in the present cache."""
    wanted = plan.data_request(environment.cache)
    with own_errors(plan.study.task):
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
        "notices": data.notices,
    }


def refuse_options_of_other_tasks(study: StudyFile, request: StudyRequest) -> None:
    """Check that the task has those of the typed options that not all tasks have.

    Raises:
        ConfigError: It lacks one.
    """
    known = study.model_dump(mode="json").get("data", {})
    for setting, typed in (("labels", request.labels), ("skip_missing", request.skip_missing)):
        if typed and setting not in known:
            option = f"--{setting.replace('_', '-')}"
            raise ConfigError(f"the task {study.task} has no option {option}; leave it out")


def _with_request(study: StudyFile, request: StudyRequest) -> StudyFile:
    refuse_options_of_other_tasks(study, request)
    document = study.model_dump(mode="json")
    if request.epochs is not None:
        document["training"]["epochs"] = request.epochs
    if request.labels is not None:
        _set_labels(document, request)
    if request.skip_missing:
        document["data"]["skip_missing"] = True
    return parse_study(document, file=f"{request.study_file} with the options given")


def _set_labels(document: dict[str, Any], request: StudyRequest) -> None:
    decided = document["data"]["labels"]
    if decided not in (None, request.labels):
        raise ConfigError(
            f"expected labels {decided}, which the study file {request.study_file} is for, "
            f"got --labels {request.labels}",
            fix="leave --labels out, or choose another study file with --study-file",
        )
    document["data"]["labels"] = request.labels

"""The one interface between the service and what it optimises."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from hpo.config.stages import FinalStage, SearchStage
from hpo.config.study_file import StudyFile, first_points, space_of
from hpo.programs.listed import FIRST_COMPARISON_REPLICATE, ListedProgram
from hpo.programs.program import Program
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Parameters
from hpo.tasks.base.learner import Learner, OneByOne, Rounds
from hpo.tasks.base.networks import NetworkDifference
from hpo.tasks.base.presentation.stage_presentation import StagePresentation
from hpo.tasks.base.score import Score
from hpo.tasks.base.splits import DataRequest, DataShape, OpenedData, Progress, SplitRef
from model.errors import ConfigError
from model.training.outcomes import Outcome

if TYPE_CHECKING:
    import torch

    from model.precision import Precision

StudyT = TypeVar("StudyT", bound=StudyFile)
ShapeT = TypeVar("ShapeT", bound=DataShape)
SplitT = TypeVar("SplitT")
SlotT = TypeVar("SlotT", bound="Slot")


class Slot(Protocol):
    """One trial in training: its weights, its optimiser and how far it is."""

    @property
    def config(self) -> Any:
        """All settings of the trial, a dataclass."""

    def state(self) -> dict[str, Any]:
        """Everything that training goes on from: tensors, numbers, strings, lists, dictionaries."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` returned."""


class Shared(Protocol):
    """What all trials of an array have in common, a dataclass; equal ones can be trained together."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def epochs(self) -> int:
        """Of a trial."""


class Array(Protocol[SlotT]):
    """Trains trials together, from validation to validation."""

    slots: list[SlotT]
    """They join and leave between two calls of ``advance``."""

    def advance(self) -> list[Outcome[SlotT]]:
        """Train every slot to its next validation, and validate it. What fails leaves the array."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTime:
    """What a trial will take, from a short measurement."""

    trial_s: float
    speed: str
    """Such as ``1,200 chunks/s in training``."""
    work: str
    """Such as ``12 epochs of 400 chunks``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageContext(Generic[StudyT, ShapeT]):
    """What the program of a stage is built from."""

    study: StudyT
    """With the stage's settings put in."""
    stage: str
    shape: ShapeT
    train: SplitRef
    start: Parameters
    """A whole configuration; empty for a search, which needs none."""
    finalists: Mapping[str, Parameters] = field(default_factory=dict)
    """Role -> configuration, for a stage that compares what was found."""
    seed: int
    """Draws searches and orders."""
    known: Sequence[ScoredPoint] = ()
    """Scores of an earlier study that a search learns from."""


class Task(ABC, Generic[StudyT, ShapeT, SplitT, SlotT]):
    """A network with its data, loss, score and space, as the service sees them.

    A simple task says what its class attributes are and how data and trials are made (``open_data``,
    ``open_split``, ``shape``, ``slot``; ``open_test`` for a final), its slots being
    ``hpo.tasks.base.learner.Learner``. Everything else has a default that such a task can live with, and is
    there for those that do better.
    """

    name: ClassVar[str]
    """In study files, as ``task = "calf"``."""
    unit: ClassVar[str] = "items"
    """What a split consists of, such as ``games``."""
    score: ClassVar[Score]
    study_file: ClassVar[type[StudyFile]]
    """What a study file of the task may hold."""
    data_shape: ClassVar[type[DataShape]] = DataShape
    takes_uri: ClassVar[bool] = False
    """Whether data may lie behind a URI."""
    analyses: ClassVar[bool] = False
    """Whether ``hpo analyse`` can take a trained network of the task apart."""
    configuration_note: ClassVar[str] = ""
    """What a reader of a configuration should know, such as units."""
    finders: ClassVar[tuple[str, ...]] = ("bayes",)
    """Stages that find a configuration, each starting from what those before it found."""
    procedure: ClassVar[tuple[str, ...]] = ("bayes",)
    """Stages in the order in which a study usually runs them; a later one has the last word."""

    @property
    def deciding(self) -> tuple[str, ...]:
        """Stages that decide on the configuration, the one with the last word first."""
        return tuple(reversed(dict.fromkeys([*self.finders, *self.procedure])))

    @abstractmethod
    def open_data(self, request: DataRequest, study: StudyT, progress: Progress) -> OpenedData[ShapeT]:
        """Read the data into the cache where they are not in it, and check that ``study`` can run on them.

        What is asked for and cannot be had, such as features of that name, is refused, never ignored.

        Raises:
            UserError: They cannot be read, are wrong, or no trial of the study fits them.
        """

    @abstractmethod
    def open_split(self, split: SplitRef) -> SplitT:
        """Map a split on the machine that trains.

        Raises:
            UserError: It is not to be had here.
        """

    @abstractmethod
    def shape(self, split: SplitT) -> ShapeT:
        """What settings depend on in a split."""

    @abstractmethod
    def slot(
        self, study: StudyT, parameters: Parameters, shape: ShapeT, *, seed: int, data_seed: int
    ) -> SlotT:
        """A trial that tries ``parameters``, untrained; the study file fills the rest.

        Raises:
            ConfigError: The values do not fit together, or not the data.
        """

    def shape_from_json(self, record: dict[str, Any]) -> ShapeT:
        """Read what ``shape_to_json`` wrote."""
        return self.data_shape(**{**record, "classes": tuple(record["classes"])})  # type: ignore[return-value]

    def shape_to_json(self, shape: ShapeT) -> dict[str, Any]:
        """A shape as plain JSON."""
        return {**asdict(shape), "classes": list(shape.classes)}

    def data_words(self, features: str, counts: tuple[int, int]) -> list[str]:
        """What to type beside ``--data`` to get the same data again."""
        return ["--features", features, "--games", f"{counts[0]},{counts[1]}"]

    def describe_split(self, split: SplitT) -> str:
        """What it holds, in a few words beside the number of its items."""
        return ""

    def describe_training(self, study: StudyT, shape: ShapeT) -> str:
        """How trials are trained, in one line."""
        return f"{study.training.epochs} epochs, validated every {study.training.validated_every}"

    def own_configuration(self, study: StudyT, shape: ShapeT) -> Parameters:
        """Every hyperparameter of a trial as the study file has it."""
        configuration: Parameters = study.hyperparameters.model_dump()
        return configuration

    def check_parameters(self, study: StudyT, parameters: Parameters, shape: ShapeT) -> None:
        """Make sure that a configuration which a person gave can be trained.

        Raises:
            ConfigError: The values do not fit together.
            ValidationError: A value is not allowed.
        """
        type(study.hyperparameters).model_validate(
            {name: parameters[name] for name in type(study.hyperparameters).model_fields}
        )
        self.slot(study, parameters, shape, seed=0, data_seed=0)

    def shared(self, study: StudyT, shape: ShapeT, precision: "Precision") -> Shared:
        """What all trials of the study have in common."""
        return Rounds(epochs=study.training.epochs, validate_every=study.training.validated_every)

    def array(
        self,
        shared: Any,
        *,
        train: SplitT,
        valid: SplitT,
        device: "torch.device",
        on_shrink: Callable[[int], None],
    ) -> Array[Any]:
        """An array without slots.

        Args:
            shared: As ``shared`` gave it.
            train: Training split.
            valid: Validation split.
            device: Where to train.
            on_shrink: Hears how many trials at once the device's memory holds, if not all.
        """
        return OneByOne(shared, train=train, valid=valid, device=device)

    def save_network(self, slot: SlotT, shape: ShapeT, file: Path, notes: Mapping[str, Any]) -> None:
        """Write the network as it is now with all that is needed to use it; ``notes`` go along."""
        from model.training.checkpoint import save_checkpoint

        save_checkpoint(file, {"config": asdict(slot.config), **slot.state(), **notes})

    def open_test(self, request: DataRequest, progress: Progress) -> SplitT:
        """Open the split that only a final scores, when nothing is tuned any more.

        Raises:
            UserError: There is none, or it cannot be read.
        """
        raise ConfigError(f"the task {self.name} has no test split, which a final ends with")

    def test(
        self, network: Path, untrained: SlotT, test: SplitT, shared: Any, device: "torch.device"
    ) -> dict[str, float]:
        """Metrics of a trained network on the test split, the score among them.

        Args:
            network: What ``save_network`` wrote.
            untrained: The trial as it began.
            test: As ``open_test`` gave it.
            shared: As ``shared`` gave it.
            device: Where to predict.
        """
        from model.training.checkpoint import load_checkpoint

        if not isinstance(untrained, Learner):
            raise TypeError(f"the task {self.name} does not say how a network is tested")
        untrained.load_state(load_checkpoint(network))
        return untrained.validate(test, device)

    def compare_networks(
        self,
        networks: tuple[Path, Path],
        split: SplitT,
        shared: Any,
        device: "torch.device",
        progress: Progress,
    ) -> NetworkDifference:
        """Score two trained networks on the same items of a split, drawn anew many times.

        Args:
            networks: Two files that ``save_network`` wrote.
            split: Where to score them.
            shared: As ``shared`` gave it.
            device: Where to predict.
            progress: Reports which network is at work.

        Raises:
            UserError: A network cannot be read, or the split has too few items.
        """
        raise ConfigError(f"the task {self.name} does not compare networks item by item")

    def presentation(self, stage: str) -> StagePresentation:
        """Return what the task adds to the tables and figures of ``stage``."""
        return StagePresentation()

    def precision(self, study: StudyT, shape: ShapeT, train: SplitT, device: "torch.device") -> "Precision":
        """Number format of matrix products: as the study file says, or as measures faster."""
        return "float32"

    def array_size(
        self,
        study: StudyT,
        shape: ShapeT,
        train: SplitT,
        precision: "Precision",
        device: "torch.device",
        most: int,
    ) -> int:
        """How many trials, at most ``most``, to train together in one process on a GPU."""
        return 1

    def trial_time(
        self,
        study: StudyT,
        shape: ShapeT,
        splits: tuple[SplitT, SplitT],
        precision: "Precision",
        device: "torch.device",
        array: int,
    ) -> TrialTime | None:
        """Train for a moment and extrapolate; None where nothing is known before the first trial.

        Args:
            study: With the stage's settings put in.
            shape: Of the data.
            splits: Training and validation.
            precision: Of matrix products.
            device: Where to train.
            array: Trials that are trained together.
        """
        return None

    def weights(self, study: StudyT, shape: ShapeT) -> int:
        """Numbers that a trial learns, for what memory it takes at the very least; 0: too few to count."""
        return 0

    def varied(self, study: StudyT, stage: str, shape: ShapeT) -> dict[str, Any]:
        """What a stage varies: parameter -> how; empty for one that compares whole configurations."""
        settings = study.stages.named(stage)
        return space_of(settings).describe() if isinstance(settings, SearchStage) else {}

    def program(self, context: StageContext[StudyT, ShapeT]) -> Program:
        """What a stage tries.

        Raises:
            ConfigError: It cannot run on these data.
        """
        settings = context.study.stages.named(context.stage)
        if isinstance(settings, SearchStage):
            return search_program(settings, context)
        if isinstance(settings, FinalStage):
            return ListedProgram(
                context.finalists, seeds=settings.seeds, first_replicate=FIRST_COMPARISON_REPLICATE
            )
        raise TypeError(f"stage {context.stage} has no program")


def search_program(settings: SearchStage, context: StageContext[Any, Any]) -> Program:
    """The program of a search."""
    from hpo.programs.search import SearchProgram  # a process that trains needs no searcher
    from hpo.search.build import build_searcher

    searcher = build_searcher(
        settings.searcher,
        space_of(settings),
        seed=context.seed,
        first=first_points(context.study, settings),
        known=context.known,
    )
    return SearchProgram(searcher, points=settings.trials, replicates=settings.replicates)

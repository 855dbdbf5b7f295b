"""Interface between the service and a task: network, data, loss, score and search space."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from hpo.config.stages import FinalStage, SearchStage
from hpo.config.study_file import first_guess, first_points, space_of
from hpo.programs.deciding import DecidingProgram
from hpo.programs.listed import FIRST_COMPARISON_REPLICATE, ListedProgram
from hpo.programs.program import Program
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Parameters
from hpo.tasks.base.description import ShapeT, StudyT, TaskDescription
from hpo.tasks.base.learner import Learner, SequentialArray
from hpo.tasks.base.networks import NetworkDifference
from hpo.tasks.base.score import Score
from hpo.tasks.base.serving import Signature
from hpo.tasks.base.splits import DataRequest, OpenedData, Progress, SplitRef
from model.errors import ConfigError
from model.training.outcomes import Outcome
from model.wording import counted

if TYPE_CHECKING:
    import torch

    from model.precision import Precision

LARGEST_ARRAY = 64
"""Largest array that is measured; from about this size on, a GPU no longer waits for launches."""

SplitT = TypeVar("SplitT")
SlotT = TypeVar("SlotT", bound="Slot")


class Slot(Protocol):
    """State of a trial in training: weights, optimiser and finished epochs."""

    @property
    def config(self) -> Any:
        """Dataclass with all settings of the trial."""

    def state(self) -> dict[str, Any]:
        """Return everything to resume from.

        It consists of tensors, NumPy arrays, numbers, strings, and lists or dictionaries of these.
        """

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what ``state`` returned."""


class Shared(Protocol):
    """Dataclass with the settings that all trials of an array share; equal ones can be trained together."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def epochs(self) -> int:
        """Number of epochs of a trial."""


class Array(Protocol[SlotT]):
    """Trainer of several trials together."""

    slots: list[SlotT]
    """Trials in training; callers add and remove them between two calls of ``advance``."""

    def advance(self) -> list[Outcome[SlotT]]:
        """Train every slot to its next validation and validate it; remove slots that fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTime:
    """Estimated duration of a trial, from a short measurement."""

    trial_s: float
    """Duration of a trial in seconds."""
    speed: str
    """Measured speed, such as ``1,200 chunks/s in training``."""
    work: str
    """Amount of work, such as ``12 epochs of 400 chunks``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageContext(Generic[StudyT, ShapeT]):
    """Input for the program of a stage."""

    study: StudyT
    """Study file with the settings of the stage."""
    stage: str
    """Name of the stage."""
    shape: ShapeT
    """Shape of the data."""
    train: SplitRef
    """Training split."""
    valid: SplitRef
    """Validation split."""
    start: Parameters
    """Complete configuration to start from; empty for a search."""
    finalists: Mapping[str, Parameters] = field(default_factory=dict)
    """Role -> configuration, for a stage that compares found configurations."""
    seed: int
    """Seed of searches and random orders."""
    known: Sequence[ScoredPoint] = ()
    """Scores of an earlier study for the warm start of a search."""


class Task(TaskDescription[StudyT, ShapeT], ABC, Generic[StudyT, ShapeT, SplitT, SlotT]):
    """Base class of tasks: a network with its data, loss, score and search space.

    A simple task sets the class attributes and implements ``open_data``, ``open_split``, ``shape`` and
    ``slot``, and ``open_test`` for a final stage. Its slots are of a subclass of ``Learner``. All other
    methods have defaults; override them for faster training, additional stages or better output.
    """

    code_files: ClassVar[tuple[Path, ...]] = ()
    """Files outside the module or package of the task whose code decides its scores."""

    def use_of_network(self, network: Path, place: str, valid: SplitRef) -> list[str]:
        """Return commands that use the file ``network`` on the data at ``place``, offered after a study."""
        return []

    @abstractmethod
    def open_data(self, request: DataRequest, study: StudyT, progress: Progress) -> OpenedData[ShapeT]:
        """Copy the data into the cache if they are not there, and check that ``study`` can run on them.

        A request that cannot be met, such as for unknown features, is an error and is never ignored.

        Raises:
            UserError: The data cannot be read, are invalid, or do not suit the study.
        """

    @abstractmethod
    def open_split(self, split: SplitRef) -> SplitT:
        """Open a split on the machine that trains.

        Raises:
            UserError: The split is not available on this machine.
        """

    @abstractmethod
    def shape(self, split: SplitT) -> ShapeT:
        """Return the properties of a split that the settings of trials depend on."""

    @abstractmethod
    def slot(
        self, study: StudyT, parameters: Parameters, shape: ShapeT, *, seed: int, data_seed: int
    ) -> SlotT:
        """Create an untrained trial with ``parameters``; the study file gives the other settings.

        Raises:
            ConfigError: The values contradict each other or do not suit the data.
        """

    def data_options(self, features: str, counts: tuple[int, int]) -> list[str]:
        """Return the command-line options that, with ``--data``, select the same data again."""
        return ["--features", features, "--games", f"{counts[0]},{counts[1]}"]

    def describe_split(self, split: SplitT) -> str:
        """Describe the content of a split in a few words, in addition to its number of items."""
        return ""

    def describe_training(self, study: StudyT, shape: ShapeT) -> str:
        """Describe the training of a trial in one line."""
        training = study.training
        epochs = counted(training.epochs, "epoch")
        return f"{epochs}, validated every {counted(training.validated_every, 'epoch')}"

    def describe_fixed(self, study: StudyT, shape: ShapeT) -> list[str]:
        """Describe values that no search varies and that depend on the data, a line each."""
        return []

    def own_configuration(self, study: StudyT, shape: ShapeT) -> Parameters:
        """Return all hyperparameters with their values in the study file."""
        configuration: Parameters = study.hyperparameters.model_dump()
        return configuration

    def in_own_units(self, study: StudyT, given: Mapping[str, Any], shape: ShapeT) -> dict[str, Any]:
        """Convert a user's hyperparameters into the units in which the study file gives them.

        Args:
            study: The study file.
            given: Symbol or name of a hyperparameter -> value, not yet checked.
            shape: Properties of the data.

        Raises:
            ConfigError: A hyperparameter appears twice, in different units.
            ValidationError: A value is invalid.
        """
        return dict(given)

    def check_parameters(self, study: StudyT, parameters: Parameters, shape: ShapeT) -> None:
        """Check that a user's configuration can be trained.

        Raises:
            ConfigError: The values contradict each other or do not suit the data.
            ValidationError: A value is invalid.
        """
        type(study.hyperparameters).model_validate(
            {name: parameters[name] for name in type(study.hyperparameters).model_fields}
        )
        self.slot(study, parameters, shape, seed=0, data_seed=0)

    def shared(self, study: StudyT, shape: ShapeT, precision: "Precision") -> Shared:
        """Return the settings that all trials of the study share."""
        return study.training.schedule

    def array(
        self,
        shared: Any,
        *,
        train: SplitT,
        valid: SplitT,
        device: "torch.device",
        on_note: Callable[[str], None],
    ) -> Array[Any]:
        """Create an array without slots.

        Args:
            shared: Settings that ``shared`` returned.
            train: Training split.
            valid: Validation split.
            device: Device to train on.
            on_note: Gets messages for the user about events that do not stop the training.
        """
        return SequentialArray(shared, train=train, valid=valid, device=device)

    def save_network(
        self, slot: SlotT, shape: ShapeT, shared: Any, file: Path, notes: Mapping[str, Any]
    ) -> None:
        """Write the current network with everything that is needed to use it, and with ``notes``."""
        from model.training.checkpoint import save_checkpoint

        save_checkpoint(file, {"config": asdict(slot.config), **slot.state(), **notes})

    def load_network(self, file: Path) -> Any:
        """Return the network in a file that ``save_network`` wrote; by default the content of the file."""
        from model.training.checkpoint import load_checkpoint

        return load_checkpoint(file)

    def signature(self, shape: ShapeT) -> Signature | None:
        """Return what ``predict`` takes and returns, for MLflow's registry; None if it is not described."""
        return None

    def predict(self, network: Any, features: Any) -> Any:
        """Return what a network that ``load_network`` returned predicts for the features of one item.

        Users call it through MLflow, as ``mlflow.pyfunc.load_model("models:/NAME/1").predict(features)``.

        Raises:
            ConfigError: The task does not say how its networks predict.
        """
        raise ConfigError(
            f"task {self.name} does not say how its networks predict",
            fix="implement predict in the task, or use what its load_network returns",
        )

    def open_test(self, request: DataRequest, progress: Progress) -> SplitT:
        """Open the test split, which only a final stage uses, after all tuning.

        Raises:
            UserError: There is no test split, or it cannot be read.
        """
        raise ConfigError(f"task {self.name} has no test split, which a final stage needs")

    def test_items(self, test: SplitT) -> int | None:
        """Return the number of items of the test split, such as games. Default: None, not known."""
        return None

    def test(
        self, network: Path, untrained: SlotT, test: SplitT, shared: Any, device: "torch.device"
    ) -> dict[str, float]:
        """Evaluate a trained network on the test split and return its metrics, including the score.

        Args:
            network: File that ``save_network`` wrote.
            untrained: The trial before its training.
            test: Split that ``open_test`` returned.
            shared: Settings that ``shared`` returned.
            device: Device to predict on.
        """
        if not isinstance(untrained, Learner):
            raise TypeError(f"task {self.name} must implement test: its slots are not of class Learner")
        untrained.load_state(Task.load_network(self, network))
        return untrained.validate(test, device)

    def compare_networks(
        self,
        networks: tuple[Path, Path],
        split: SplitT,
        shared: Any,
        score: Score,
        device: "torch.device",
        progress: Progress,
    ) -> NetworkDifference:
        """Compare two trained networks by bootstrap over the items of a split.

        Args:
            networks: Two files that ``save_network`` wrote.
            split: Split to score them on.
            shared: Settings that ``shared`` returned.
            score: The score that the study maximises.
            device: Device to predict on.
            progress: Called with the number of networks that have been scored.

        Raises:
            UserError: A network cannot be read, or the split has too few items.
        """
        raise ConfigError(f"task {self.name} does not support comparing two networks")

    def precision(self, study: StudyT, shape: ShapeT, train: SplitT, device: "torch.device") -> "Precision":
        """Return the number format of matrix products: from the study file, or the faster one."""
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
        """Return how many trials, at most ``most``, one process should train together on a GPU."""
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
        """Estimate the duration of a trial from a short measurement; None if that is not possible.

        Args:
            study: Study file with the settings of the stage.
            shape: Shape of the data.
            splits: Training and validation split.
            precision: Number format of matrix products.
            device: Device to train on.
            array: Number of trials that are trained together.
        """
        return None

    def weight_count(self, study: StudyT, shape: ShapeT) -> int:
        """Return the number of trained weights, for a lower bound of memory; 0 if it is negligible."""
        return 0

    def varied(self, study: StudyT, stage: str, shape: ShapeT) -> dict[str, Any]:
        """Return the hyperparameters that a stage varies, described; none if it compares configurations."""
        settings = study.stages.named(stage)
        return space_of(settings).describe() if isinstance(settings, SearchStage) else {}

    def program(self, context: StageContext[StudyT, ShapeT]) -> Program:
        """Build the program of a stage, which decides what to train.

        Raises:
            ConfigError: The stage cannot run on these data.
        """
        settings = context.study.stages.named(context.stage)
        if isinstance(settings, SearchStage):
            return search_program(settings, context, self.score_in(context.study.model_dump(mode="json")))
        if isinstance(settings, FinalStage):
            return final_program(settings, context.finalists)
        raise TypeError(f"stage {context.stage} has no program")


def final_program(settings: FinalStage, finalists: Mapping[str, Parameters]) -> Program:
    """Build the program of a final, which compares ``finalists``."""
    first = FIRST_COMPARISON_REPLICATE
    if settings.seeds == "until decided":
        return DecidingProgram(finalists, most_seeds=settings.most_seeds, first_replicate=first)
    return ListedProgram(finalists, seeds=settings.seeds, first_replicate=first)


def search_program(settings: SearchStage, context: StageContext[Any, Any], score: Score) -> Program:
    """Build the program of a search stage; ``score`` is what its trials are compared by."""
    from hpo.programs.search import SearchProgram  # not needed in processes that train
    from hpo.search.build import build_searcher

    searcher = build_searcher(
        settings.searcher,
        space_of(settings),
        seed=context.seed,
        first=first_points(context.study, settings),
        guess=first_guess(context.study, settings),
        known=context.known,
    )
    return SearchProgram(
        searcher,
        points=settings.trials,
        replicates=settings.replicates,
        metric=score.metric,
        race=settings.reduction_factor if settings.scheduler != "none" and settings.replicates > 1 else None,
    )

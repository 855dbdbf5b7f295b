"""Study files of the task ``bmn`` (section 4.2). Defaults are those of the published code and the paper."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hpo.config.sections import Number, Section, Training, broken_rule
from hpo.config.stages import SearchStage, Stage, Stages
from hpo.config.study_file import StudyFile
from model.losses.forms import TemLoss
from model.networks.groups import GROUPS

K1Values = Annotated[tuple[Annotated[Number, Field(lt=0, ge=-1000)], ...], Field(strict=False, min_length=1)]
MultipleOfGroups = Annotated[int, Field(ge=GROUPS, multiple_of=GROUPS)]


class Network(Section):
    """Sizes of the network. Defaults are the published ones for ActivityNet."""

    positions: int = Field(default=100, ge=2)
    """Number of temporal positions per video, T: the lines of a feature file."""
    longest: int | None = Field(default=None, ge=1)
    """Positions of the longest proposal, D. Default: T, as published."""
    bins: int = Field(default=32, ge=1)
    """Number of samples per proposal, N (``num_sample`` in the published code)."""
    points_per_bin: int = Field(default=3, ge=1)
    """Number of interpolated points averaged into one sample (``num_sample_perbin``)."""
    boundary_ratio: Annotated[Number, Field(ge=0, le=100)] = 0.5
    """Extension of a proposal beyond either end before it is sampled, as a fraction of its length plus one
    position (``prop_boundary_ratio``)."""
    hidden_1d: MultipleOfGroups = 256
    """Features per position."""
    hidden_2d: int = Field(default=128, ge=1)
    """Features per pair of positions in the convolutions over the map."""
    hidden_3d: int = Field(default=512, ge=1)
    """Features per pair of positions after its samples are reduced."""

    @model_validator(mode="after")
    def _longest_fits(self) -> Self:
        if self.longest is not None and self.longest > self.positions:
            raise broken_rule(f"longest must not exceed positions, got {self.longest} and {self.positions}")
        if self.bins * self.points_per_bin < 2:
            raise broken_rule("bins and points_per_bin must not both be 1: a proposal has at least 2 points")
        return self


class Data(Section):
    """Settings for reading the data folder."""

    skip_missing: bool = False
    """True to leave out videos that have no feature file; their number is shown."""


class BmnTraining(Training):
    """Training settings: epochs, batches, learning rate schedule, precision."""

    epochs: int = Field(default=9, ge=1)
    batch_videos: int = Field(default=16, ge=1)
    """Videos per batch."""
    rate_drop: float = Field(default=0.1, gt=0, le=1)
    """Factor by which the learning rate is multiplied every ``rate_drop_epochs`` epochs."""
    rate_drop_epochs: int = Field(default=7, ge=1)
    """Epochs between two drops of the learning rate."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Weight decay of the optimiser."""
    precision: Literal["auto", "float32", "tf32", "bfloat16"] = "auto"
    """Number format of matrix products. ``auto``: bfloat16 on a processor that has it in hardware,
    else float32; on a GPU, the one that a measurement finds fastest."""


class Losses(Section):
    """Settings of the losses that all trials share."""

    regression_weight: float = Field(default=10.0, ge=0)
    """Weight of the regression loss of the IoU."""
    published_draw: bool = False
    """True to draw pairs for the regression as in the published code; see ``BoundaryLossConfig``."""


class Scoring(Section):
    """Settings of soft-NMS, which lowers the scores of proposals that overlap a better one."""

    alpha: float = Field(default=0.4, gt=0)
    """Divisor in the factor exp(-IoU^2 / alpha) that lowers a score."""
    low: float = Field(default=0.5, ge=0, le=1)
    """IoU above which a score is lowered, if the better proposal is the shortest possible."""
    high: float = Field(default=0.9, ge=0, le=1)
    """IoU above which a score is lowered, if the better proposal is as long as the video."""
    proposals: int = Field(default=100, ge=1)
    """Number of proposals to keep per video."""

    @model_validator(mode="after")
    def _thresholds_are_ordered(self) -> Self:
        if self.low > self.high:
            raise broken_rule(f"low must not exceed high, got {self.low:g} and {self.high:g}")
        return self


class Hyperparameters(Section):
    """Hyperparameters that a stage may search over, and their values when it does not."""

    tem_loss: TemLoss = "context-aware"
    """Loss of the temporal evaluation module: ``bmn`` (published) or ``context-aware`` (the paper's)."""
    K1_positions: float = Field(default=-14.0, lt=0, ge=-1000)
    """K1 of starts and ends in temporal positions; K1 = 2 K2 = -2 K3 = -K4. Default: the paper's best."""
    lambda_tem: float = Field(default=1.0, ge=0)
    """Weight of the loss of the temporal evaluation module."""
    tau_max: float = Field(default=0.9, ge=0, le=1)
    """Upper margin of the context-aware loss."""
    tau_min: float = Field(default=0.1, ge=0, le=1)
    """Lower margin of the context-aware loss."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate at the first epoch."""

    @model_validator(mode="after")
    def _margins_are_ordered(self) -> Self:
        if self.tau_min >= self.tau_max:
            raise broken_rule(f"tau_min must be below tau_max, got {self.tau_min:g} and {self.tau_max:g}")
        return self


class BmnSearch(SearchStage):
    """The search over hyperparameters of the loss and the training."""

    hyperparameters = Hyperparameters


class SlicingStage(Stage):
    """The grid over K1 of the context-aware loss, judged by AUC on the validation videos."""

    K1_positions: K1Values = (-2.0, -6.0, -10.0, -14.0, -18.0, -22.0)
    """Values of K1 in temporal positions."""
    replicates: int = Field(default=1, ge=1)
    """Seeds per value; its score is the average."""
    seeds: int = Field(default=3, ge=1)
    """Seeds for the final comparison of the best value with the start."""


class CompareStage(Stage):
    """The comparison of losses of Table 3."""

    runs: int = Field(default=20, ge=2)
    """Trainings per loss, each with another seed."""
    tem_losses: Annotated[tuple[TemLoss, ...], Field(strict=False, min_length=1)] = ("bmn", "context-aware")
    """Losses of the temporal evaluation module to compare."""


class BmnStages(Stages):
    """Stages of a study; all except the search have defaults."""

    bayes: BmnSearch | None = None
    bmn_slicing: SlicingStage = Field(default=SlicingStage(), alias="bmn-slicing")
    bmn_compare: CompareStage = Field(default=CompareStage(), alias="bmn-compare")


class BmnStudy(StudyFile):
    """Study file of boundary-matching networks."""

    task: Literal["bmn"]
    data: Data = Data()
    network: Network = Network()
    training: BmnTraining = BmnTraining()
    losses: Losses = Losses()
    scoring: Scoring = Scoring()
    hyperparameters: Hyperparameters = Hyperparameters()
    stages: BmnStages = BmnStages()

    @property
    def skips_missing(self) -> bool:
        """Whether videos without a feature file are left out."""
        return self.data.skip_missing

"""A study file of the task ``bmn`` (section 4.2); defaults are the published code's and the paper's."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hpo.config.sections import Number, Section, Training, broken_rule
from hpo.config.stages import SearchStage, Stage, Stages
from hpo.config.study_file import StudyFile
from model.losses.boundary import TemLoss
from model.networks.bmn import GROUPS

K1Values = Annotated[tuple[Annotated[Number, Field(lt=0, ge=-1000)], ...], Field(strict=False, min_length=1)]
MultipleOfGroups = Annotated[int, Field(ge=GROUPS, multiple_of=GROUPS)]


class Network(Section):
    """Sizes of the network; the published ones for ActivityNet."""

    positions: int = Field(default=100, ge=2)
    """T: features a video, and lines of its file."""
    longest: int | None = Field(default=None, ge=1)
    """D: positions of the longest proposal; left out: T, as published."""
    bins: int = Field(default=32, ge=1)
    """N: bins that a proposal is sampled into."""
    hidden_1d: MultipleOfGroups = 256
    """Features a position."""
    hidden_2d: int = Field(default=128, ge=1)
    """Features a pair in the convolutions over the map."""
    hidden_3d: int = Field(default=512, ge=1)
    """Features a pair that its bins are reduced to."""

    @model_validator(mode="after")
    def _longest_fits(self) -> Self:
        if self.longest is not None and self.longest > self.positions:
            raise broken_rule(f"longest must not exceed positions, got {self.longest} and {self.positions}")
        return self


class BmnTraining(Training):
    """How long and in what steps a trial trains."""

    epochs: int = Field(default=9, ge=1)
    batch_videos: int = Field(default=16, ge=1)
    rate_drop: float = Field(default=0.1, gt=0, le=1)
    """The learning rate is multiplied by it"""
    rate_drop_epochs: int = Field(default=7, ge=1)
    """whenever so many epochs are over."""
    weight_decay: float = Field(default=1e-4, ge=0)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """``auto`` takes the one that measures faster."""


class Losses(Section):
    """What is the same for all trials."""

    regression_weight: float = Field(default=10.0, ge=0)
    """Of the IoU's regression."""
    published_draw: bool = False
    """Whether pairs for the regression are drawn as in the published code; see ``BoundaryLossConfig``."""


class Scoring(Section):
    """Soft-NMS: how proposals that overlap a better one lose score."""

    alpha: float = Field(default=0.4, gt=0)
    low: float = Field(default=0.5, ge=0, le=1)
    high: float = Field(default=0.9, ge=0, le=1)
    proposals: int = Field(default=100, ge=1)
    """Kept of a video."""

    @model_validator(mode="after")
    def _thresholds_are_ordered(self) -> Self:
        if self.low > self.high:
            raise broken_rule(f"low must not exceed high, got {self.low:g} and {self.high:g}")
        return self


class Hyperparameters(Section):
    """What a stage may search over, and the value of each where no space says otherwise."""

    tem_loss: TemLoss = "context-aware"
    """Of the temporal evaluation module: the published one, or the paper's segmentation loss."""
    K1_positions: float = Field(default=-14.0, lt=0, ge=-1000)
    """K1 of starts and ends, in temporal positions; K1 = 2 K2 = -2 K3 = -K4. The paper's best."""
    lambda_tem: float = Field(default=1.0, ge=0)
    """Weight of that loss, whichever it is."""
    tau_max: float = Field(default=0.9, ge=0, le=1)
    tau_min: float = Field(default=0.1, ge=0, le=1)
    learning_rate: float = Field(default=1e-3, gt=0)

    @model_validator(mode="after")
    def _margins_are_ordered(self) -> Self:
        if self.tau_min >= self.tau_max:
            raise broken_rule(f"tau_min must be below tau_max, got {self.tau_min:g} and {self.tau_max:g}")
        return self


class BmnSearch(SearchStage):
    """A search over hyperparameters of the loss and the training."""

    hyperparameters = Hyperparameters


class SlicingStage(Stage):
    """The grid over K1 of the context-aware loss, judged by AUC on the validation videos."""

    K1_positions: K1Values = (-2.0, -6.0, -10.0, -14.0, -18.0, -22.0)
    replicates: int = Field(default=1, ge=1)
    """Seeds of a point; it is judged by their mean."""
    seeds: int = Field(default=3, ge=1)
    """With which the best point is confirmed against the starting point."""


class CompareStage(Stage):
    """Table 3: the published loss and the context-aware one, each trained ``runs`` times."""

    runs: int = Field(default=20, ge=2)
    tem_losses: Annotated[tuple[TemLoss, ...], Field(strict=False, min_length=1)] = ("bmn", "context-aware")


class BmnStages(Stages):
    """The steps of a study; the search has no default."""

    bayes: BmnSearch | None = None
    bmn_slicing: SlicingStage = Field(default=SlicingStage(), alias="bmn-slicing")
    bmn_compare: CompareStage = Field(default=CompareStage(), alias="bmn-compare")


class BmnStudy(StudyFile):
    """A whole study of boundary-matching networks."""

    task: Literal["bmn"]
    network: Network = Network()
    training: BmnTraining = BmnTraining()
    losses: Losses = Losses()
    scoring: Scoring = Scoring()
    hyperparameters: Hyperparameters = Hyperparameters()
    stages: BmnStages = BmnStages()

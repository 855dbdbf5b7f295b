"""The tables of a study file of the task ``calf``. Defaults are the paper's values (section 4.1)."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from hpo.config.sections import LONGEST_S, Section, Training, broken_rule, expected, is_number
from model.losses.complete import Matching
from model.losses.segmentation import SegmentationForm


def _tolerance_or_seconds(value: object) -> object:
    if value == "tolerance" or (
        isinstance(value, int | float) and is_number(value) and 0 < value <= LONGEST_S
    ):
        return value
    raise expected('the word "tolerance" or a number of seconds above 0, a day at most')


def _reestimated_or_share(value: object) -> object:
    if value == "re-estimated" or (isinstance(value, int | float) and is_number(value) and 0 < value <= 1):
        return value
    raise expected('the word "re-estimated" or a number above 0 and at most 1')


def _ordered_zones(value: object) -> object:
    if isinstance(value, list | tuple) and len(value) == 4 and all(map(is_number, value)):
        k1, k2, k3, k4 = value
        if -LONGEST_S <= k1 < k2 < 0 < k3 < k4 <= LONGEST_S:
            return tuple(value)
    raise expected("four numbers of seconds, a day at most, in this order: K1 < K2 < 0 < K3 < K4")


Zones = Annotated[tuple[float, float, float, float], BeforeValidator(_ordered_zones)]
"""K1 < K2 < 0 < K3 < K4 in seconds from an action."""
NmsWindow = Annotated[Literal["tolerance"] | float, BeforeValidator(_tolerance_or_seconds)]
NormMomentum = Annotated[Literal["re-estimated"] | float, BeforeValidator(_reestimated_or_share)]


class Network(Section):
    """What the networks of all trials share."""

    chunk_s: float = Field(default=120.0, gt=0, le=LONGEST_S)
    """Duration of a chunk: the paper's N_F is 240 frames at 2 a second."""
    predictions: int = Field(default=5, ge=1)
    """Spots predicted in a chunk, the paper's N_pred: no chunk of 2 minutes holds more actions."""
    norm_eps: float = Field(default=1e-3, gt=0)
    """Added to the variance in the batch normalisation; the value of both published codes."""
    norm_momentum: NormMomentum = "re-estimated"
    """Statistics that the batch normalisation is scored with: re-estimated from training chunks before every
    validation, or following the batches by this share, as both published codes do (0.01)."""
    norm_unbiased: bool = False
    """Whether the variance that follows the batches is unbiased, as in the re-release."""


class CalfTraining(Training):
    """How long and in what steps a trial trains."""

    epochs: int = Field(default=1000, ge=1)
    sampler: Literal["paper", "balanced"] = "paper"
    """``paper``: one batch a half; ``balanced``: batches drawn evenly over classes and background."""
    batch_size: int = Field(default=32, ge=1)
    """Chunks in a batch of the balanced sampler."""
    chunks_per_epoch: int | None = Field(default=None, ge=1)
    """Of the balanced sampler; as many as an epoch of the paper's where it is left out."""
    action_margin_s: float = Field(default=20.0, ge=0, le=LONGEST_S)
    """An action lies at least so far from the ends of its training chunk: half of the paper's r."""
    learning_rate: float = Field(default=1e-3, gt=0)
    final_learning_rate: float = Field(default=1e-6, gt=0)
    """Reached on a straight line at the last epoch."""
    adam_eps: float = Field(default=1e-8, gt=0)
    """Adam's default of the paper's reference and of the re-release; the original code has Keras's 1e-7."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """``auto`` takes the one that measures faster."""

    @model_validator(mode="after")
    def _learning_rate_falls(self) -> Self:
        if self.final_learning_rate > self.learning_rate:
            raise broken_rule(
                f"final_learning_rate must not exceed learning_rate, "
                f"got {self.final_learning_rate:g} and {self.learning_rate:g}"
            )
        return self


class Losses(Section):
    """What the losses leave open."""

    segmentation_form: SegmentationForm = "paper"
    """Equations (4) and (5) as printed, or as the original code has them."""


class Scoring(Section):
    """How predictions become a score."""

    nms_window_s: NmsWindow = "tolerance"
    """Window of the non-maximum suppression: as wide as each tolerance (the 2020 code), or one for all."""


class Hyperparameters(Section):
    """What a stage may search over, and the value of each where no space says otherwise.

    Symbols and defaults are the paper's: its optimum on ResNet features.
    """

    f: int = Field(default=16, ge=1)
    r_frames: int = Field(default=80, ge=1)
    alpha2: float = Field(default=5.0, ge=0)
    beta: float = Field(default=0.5, ge=0)
    lambda_seg: float = Field(default=1.5, ge=0)
    tau_max: float = Field(default=0.9, ge=0, le=1)
    tau_min: float = Field(default=0.1, ge=0, le=1)
    matching: Matching = "one-to-one"
    """Of predictions and actions (Algorithm 1), or none, for the ablation."""

    @model_validator(mode="after")
    def _margins_are_ordered(self) -> Self:
        if self.tau_min >= self.tau_max:
            raise broken_rule(f"tau_min must be below tau_max, got {self.tau_min:g} and {self.tau_max:g}")
        return self

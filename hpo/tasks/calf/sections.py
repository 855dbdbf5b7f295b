"""Tables of study files of the task ``calf``. Defaults are the paper's values (section 4.1)."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isclose
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from hpo.config.sections import LONGEST_S, Section, Training, broken_rule, expected
from model.documents import is_number
from model.losses.forms import Matching, SegmentationForm


def _tolerance_or_seconds(value: object) -> object:
    if value == "tolerance" or (is_number(value) and 0 < value <= LONGEST_S):
        return value
    raise expected('"tolerance" or a number of seconds above 0, at most 86400 (one day)')


def _named_or_widths(value: object) -> object:
    if value in ("loose", "tight"):
        return value
    if isinstance(value, list | tuple) and value and all(map(is_number, value)):
        steps = [later - earlier for earlier, later in pairwise(value)]
        is_even = all(step > 0 and isclose(step, steps[0], rel_tol=1e-3) for step in steps)
        if value[0] > 0 and value[-1] <= LONGEST_S and is_even:
            return tuple(map(float, value))
    raise expected('"loose", "tight" or rising seconds with equal steps, such as [0.5, 1.0, 1.5]')


def _reestimated_or_share(value: object) -> object:
    if value == "re-estimated" or (is_number(value) and 0 < value <= 1):
        return value
    raise expected('"re-estimated" or a number above 0, at most 1')


def _ordered_zones(value: object) -> object:
    if isinstance(value, list | tuple) and len(value) == 4 and all(map(is_number, value)):
        k1, k2, k3, k4 = value
        if -LONGEST_S <= k1 < k2 < 0 < k3 < k4 <= LONGEST_S:
            return tuple(value)
    raise expected("four numbers of seconds, at most 86400 (one day), with K1 < K2 < 0 < K3 < K4")


Zones = Annotated[tuple[float, float, float, float], BeforeValidator(_ordered_zones)]
"""Slicing parameters K1 < K2 < 0 < K3 < K4 in seconds from an action."""
Tolerances = Annotated[Literal["loose", "tight"] | tuple[float, ...], BeforeValidator(_named_or_widths)]
PAPERS_SCORE = "Average-mAP"
"""Name of the score that the paper reports."""
NmsWindow = Annotated[Literal["tolerance"] | float, BeforeValidator(_tolerance_or_seconds)]
NormMomentum = Annotated[Literal["re-estimated"] | float, BeforeValidator(_reestimated_or_share)]


class Data(Section):
    """Settings for reading the data folder."""

    labels: Literal["v1", "v2"] | None = None
    """Version of SoccerNet's labels that the study is for. Default: what the data folder says."""


class Network(Section):
    """Settings of the network that all trials share."""

    chunk_s: float = Field(default=120.0, gt=0, le=LONGEST_S)
    """Duration of a chunk in seconds. The paper's N_F is 240 frames at 2 frames per second."""
    predictions: int = Field(default=5, ge=1)
    """Number of spots predicted per chunk, the paper's N_pred. No chunk of 120 s has more actions."""
    norm_eps: float = Field(default=1e-3, gt=0)
    """Constant added to the variance in batch normalisation. Both published codes use the default."""
    norm_momentum: NormMomentum = "re-estimated"
    """Statistics of batch normalisation at validation. ``re-estimated``: computed from training chunks before
    every validation. A number: running averages with this momentum; both published codes use 0.01."""
    norm_unbiased: bool = False
    """True for an unbiased running variance, as in the re-release."""


class CalfTraining(Training):
    """Training settings: epochs, sampler, learning rate, precision."""

    epochs: int = Field(default=1000, ge=1)
    sampler: Literal["paper", "balanced"] = "paper"
    """Sampler of training chunks. ``paper``: one batch per half; ``balanced``: batches drawn evenly over
    classes and background."""
    batch_size: int = Field(default=32, ge=1)
    """Chunks per batch of the balanced sampler."""
    chunks_per_epoch: int | None = Field(default=None, ge=1)
    """Chunks per epoch of the balanced sampler. Default: as many as with the paper's sampler."""
    action_margin_s: float = Field(default=20.0, ge=0, le=LONGEST_S)
    """Minimum distance in seconds of an action from the ends of its training chunk: half of the paper's r."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate at the first epoch."""
    final_learning_rate: float = Field(default=1e-6, gt=0)
    """Learning rate at the last epoch; it decreases linearly."""
    adam_eps: float = Field(default=1e-8, gt=0)
    """Epsilon of Adam: default of the paper's reference and of the re-release. The original code has 1e-7."""
    precision: Literal["auto", "float32", "tf32", "bfloat16"] = "auto"
    """Number format of matrix products. ``auto``: bfloat16 on a processor that has it in hardware,
    else float32; on a GPU, the one that a measurement finds fastest."""

    @model_validator(mode="after")
    def _learning_rate_falls(self) -> Self:
        if self.final_learning_rate > self.learning_rate:
            raise broken_rule(
                f"final_learning_rate must not exceed learning_rate, "
                f"got {self.final_learning_rate:g} and {self.learning_rate:g}"
            )
        return self


class Losses(Section):
    """Settings of the losses."""

    segmentation_form: SegmentationForm = "paper"
    """Form of equations (4) and (5): ``paper`` as printed, ``published-2020`` as in the original code."""


class Scoring(Section):
    """Settings of the evaluation."""

    tolerances: Tolerances = "loose"
    """Tolerances of Average-mAP, as full widths: a spot may lie half of one before or after its action.
    ``loose``: 5 to 60 s, as in the paper. ``tight``: 1 to 5 s, as in the later SoccerNet challenges. Or a
    list of seconds with equal steps, for actions that follow each other fast."""
    nms_window_s: NmsWindow = "tolerance"
    """Window of non-maximum suppression. ``tolerance``: as wide as each tolerance of the metric, as in the
    original code. A number: width in seconds for all tolerances."""
    mean: Literal["all", "present"] = "all"
    """Classes in the mean that a study maximises. ``all``: a class without actions in the split counts 0, as
    in the published codes. ``present``: only the classes that have actions in the split."""


def score_label(tolerances: str | Sequence[float]) -> str:
    """Return the name of the score with these tolerances, as ``Scoring`` or a stored plan has them."""
    if tolerances == "loose":
        return PAPERS_SCORE
    if tolerances == "tight":
        return "tight Average-mAP"
    first, last = float(tolerances[0]), float(tolerances[-1])
    return f"{first:g}-{last:g} s Average-mAP" if last > first else f"{first:g} s mAP"


class Hyperparameters(Section):
    """Hyperparameters that a stage may search over, and their values when it does not.

    Symbols and defaults are the paper's; the defaults are its optimum on ResNet features. Exactly one of
    ``r_s`` and ``r_frames`` has a value.
    """

    f: int = Field(default=16, ge=1)
    """Features per class in the segmentation module."""
    r_s: float | None = Field(default=40.0, gt=0, le=LONGEST_S)
    """Receptive field r of the temporal convolutions in seconds. None: it is given in frames."""
    r_frames: int | None = Field(default=None, ge=1)
    """The same in frames, as in older study files. None: it is given in seconds."""
    alpha2: float = Field(default=5.0, ge=0)
    """Weight of the location error in the spotting loss."""
    beta: float = Field(default=0.5, ge=0)
    """Weight of the confidence of predictions without an action in the spotting loss."""
    lambda_seg: float = Field(default=1.5, ge=0)
    """Weight of the segmentation loss."""
    tau_max: float = Field(default=0.9, ge=0, le=1)
    """Upper margin of the segmentation loss."""
    tau_min: float = Field(default=0.1, ge=0, le=1)
    """Lower margin of the segmentation loss."""
    matching: Matching = "one-to-one"
    """Matching of predictions and actions: ``one-to-one`` (Algorithm 1) or ``none``, for the ablation."""

    @model_validator(mode="before")
    @classmethod
    def _frames_replace_the_default_in_seconds(cls, table: object) -> object:
        if isinstance(table, Mapping) and table.get("r_frames") is not None and "r_s" not in table:
            return {**table, "r_s": None}
        return table

    @model_validator(mode="after")
    def _r_has_one_unit(self) -> Self:
        if (self.r_s is None) == (self.r_frames is None):
            count = "neither" if self.r_s is None else "both"
            raise broken_rule(f"expected either r_s (seconds) or r_frames (frames), got {count}")
        return self

    @model_serializer(mode="wrap")
    def _without_the_other_unit(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        table: dict[str, Any] = serialize(self)
        return {name: value for name, value in table.items() if value is not None}

    @model_validator(mode="after")
    def _margins_are_ordered(self) -> Self:
        if self.tau_min >= self.tau_max:
            raise broken_rule(f"tau_min must be below tau_max, got {self.tau_min:g} and {self.tau_max:g}")
        return self

"""Conversion of study files of ``calf`` into the model's settings."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from hpo.space.parameters import Value
from hpo.space.space import Parameters
from hpo.tasks.base.splits import DataShape
from hpo.tasks.calf.sections import Hyperparameters
from hpo.tasks.calf.study_file import CalfStudy
from model.data.sampler import SamplerConfig
from model.encoding import Zones
from model.errors import ConfigError
from model.losses.complete import LossConfig
from model.networks.calf_config import NetworkConfig
from model.precision import Precision
from model.timeline import FrameRate
from model.training.config import TrainingConfig, TrialConfig

_ZONE = re.compile(r"K[1-4]_frames\..+")


@dataclass(frozen=True, slots=True, kw_only=True)
class GamesShape(DataShape):
    """Properties of games that the settings of a trial depend on."""

    frame_rate: FrameRate
    """Feature vectors per second of video."""
    stem: str | None = None
    """Stem of the feature files; None in records of older versions."""
    labels: str | None = None
    """Version of SoccerNet's labels; None for other labels."""
    label_texts: tuple[str, ...] = ()
    """The label of every class in label files."""
    digest: str = ""
    """Digest of the split."""


def trial_config(
    study: CalfStudy, parameters: Parameters, shape: GamesShape, *, seed: int, data_seed: int = 0
) -> TrialConfig:
    """Make the settings of a trial with ``parameters``; the study file gives the other settings.

    Slicing parameters have names such as ``K1_frames.goal``; a class has all four of them or none.

    Raises:
        ConfigError: The values contradict each other, such as r longer than a chunk.
    """
    momentum = study.network.norm_momentum
    zones = {name: value for name, value in parameters.items() if _ZONE.fullmatch(name)}
    others = {name: value for name, value in parameters.items() if name not in zones}
    tried = Hyperparameters.model_validate({**study.hyperparameters.model_dump(), **others})
    return TrialConfig(
        network=NetworkConfig(
            input_size=shape.dims,
            classes=len(shape.classes),
            class_features=tried.f,
            receptive_field_frames=tried.r_frames,
            chunk_frames=shape.frame_rate.to_frames(study.network.chunk_s),
            predictions=study.network.predictions,
            norm_eps=study.network.norm_eps,
            norm_momentum=None if momentum == "re-estimated" else float(momentum),
            norm_unbiased=study.network.norm_unbiased,
        ),
        loss=LossConfig(
            zones=_zones(study, zones, shape),
            alpha2=tried.alpha2,
            beta=tried.beta,
            lambda_seg=tried.lambda_seg,
            tau_max=tried.tau_max,
            tau_min=tried.tau_min,
            form=study.losses.segmentation_form,
            matching=tried.matching,
        ),
        seed=seed,
        data_seed=data_seed,
        learning_rate=study.training.learning_rate,
        final_learning_rate=study.training.final_learning_rate,
        adam_eps=study.training.adam_eps,
    )


def _zones(study: CalfStudy, own: Mapping[str, Value], shape: GamesShape) -> Zones:
    """Return the zones of every class in frames: the trial's ``own``, else those of the study file."""
    zones = Zones.from_seconds(study.zones_s, shape.classes, shape.frame_rate)
    rows = []
    for name, (k1, k2, k3, k4) in zip(shape.classes, zones.per_class, strict=True):
        row = [own.get(f"K{number}_frames.{name}", k) for number, k in enumerate((k1, k2, k3, k4), start=1)]
        rows.append((float(row[0]), float(row[1]), float(row[2]), float(row[3])))
    return Zones(tuple(rows))


def training_config(study: CalfStudy, shape: GamesShape, *, precision: Precision) -> TrainingConfig:
    """Make the settings of training that all trials of the study share."""
    window = study.scoring.nms_window_s
    return TrainingConfig(
        epochs=study.training.epochs,
        validate_every=study.training.validated_every,
        sampler=SamplerConfig(
            name=study.training.sampler,
            chunk_frames=shape.frame_rate.to_frames(study.network.chunk_s),
            margin_frames=shape.frame_rate.to_frames(study.training.action_margin_s),
            batch_size=study.training.batch_size,
            chunks_per_epoch=study.training.chunks_per_epoch,
        ),
        precision=precision,
        nms_window_s=None if window == "tolerance" else float(window),
    )


def check_space(study: CalfStudy, shape: GamesShape) -> None:
    """Check that every point of the search is possible on this data.

    Raises:
        ConfigError: The largest r does not fit into a chunk.
    """
    declared = study.stages.bayes.space.get("r_frames")
    chunk_frames = shape.frame_rate.to_frames(study.network.chunk_s)
    # An odd r needs a frame more: its edges are rounded up.
    if declared is not None and 2 * math.ceil(max(declared.extremes()) / 2) >= chunk_frames:
        raise ConfigError(
            f"expected r below the {chunk_frames} frames of a chunk, but the space lets r reach "
            f"{max(declared.extremes()):g} frames",
            key="stages.bayes.space.r_frames",
            fix="lower its high bound, or raise network.chunk_s",
        )

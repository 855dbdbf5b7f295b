"""Conversion of study files of ``calf`` into the model's settings."""

import re
from collections.abc import Mapping
from typing import Any

from hpo.config.stages import numbers
from hpo.space.parameters import Value
from hpo.space.space import Parameters
from hpo.tasks.calf.sections import Hyperparameters, Tolerances
from hpo.tasks.calf.shape import GamesShape
from hpo.tasks.calf.study_file import CalfStudy
from model.data.sampler import SamplerConfig
from model.encoding import Zones
from model.errors import ConfigError
from model.losses.complete import LossConfig
from model.metrics.average_map import LOOSE_TOLERANCES_S, TIGHT_TOLERANCES_S
from model.networks.calf_config import NetworkConfig, longest_receptive_field
from model.precision import Precision
from model.timeline import FrameRate
from model.training.config import TrainingConfig, TrialConfig
from model.wording import counted

_ZONE = re.compile(r"K[1-4]_frames\..+")


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
            receptive_field_frames=_receptive_field_frames(tried, study, shape),
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


def in_own_unit(study: CalfStudy, given: Mapping[str, Any], shape: GamesShape) -> dict[str, Any]:
    """Return hyperparameters with r in the unit of the study file; ``r`` is the older symbol of ``r_frames``.

    Raises:
        ConfigError: r appears twice.
        ValidationError: The value of r is invalid.
    """
    spelled = [("r_frames" if name == "r" else name, value) for name, value in given.items()]
    converted = dict(spelled)
    named = [name for name, _ in spelled if name in ("r_s", "r_frames")]
    if len(named) > 1:
        raise ConfigError(
            "expected r once, in seconds as r_s or in frames as r_frames, got "
            + " and ".join(name for name in given if name in ("r", "r_s", "r_frames"))
        )
    own = study.hyperparameters.model_dump()
    for name in named:
        if name not in own:
            tried = Hyperparameters.model_validate({name: converted.pop(name)})
            if tried.r_frames is not None:
                converted["r_s"] = shape.frame_rate.to_seconds(tried.r_frames)
            elif tried.r_s is not None:
                converted["r_frames"] = max(1, shape.frame_rate.to_frames(tried.r_s))
    return converted


def _receptive_field_frames(tried: Hyperparameters, study: CalfStudy, shape: GamesShape) -> int:
    """Return r in frames.

    Raises:
        ConfigError: r has fewer than 2 frames, or it does not fit into a chunk.
    """
    r_frames, fits, shown = _length_of_r(tried.model_dump(), study, shape)
    if not fits:
        raise ConfigError(
            f"expected r of {_possible(study, shape)}, got {shown}",
            fix="change r or network.chunk_s",
        )
    return r_frames


def _length_of_r(
    values: Mapping[str, int | float], study: CalfStudy, shape: GamesShape
) -> tuple[int, bool, str]:
    """Return r in frames, whether a network can have it, and a description with its unit."""
    chunk_frames = shape.frame_rate.to_frames(study.network.chunk_s)
    if "r_s" in values:
        r_frames = max(1, shape.frame_rate.to_frames(values["r_s"]))
        shown = f"r_s = {values['r_s']:g} ({_frames(r_frames, shape.frame_rate)})"
    else:
        r_frames = int(values["r_frames"])
        shown = f"r_frames = {r_frames}"
    return r_frames, 2 <= r_frames <= longest_receptive_field(chunk_frames), shown


def _possible(study: CalfStudy, shape: GamesShape) -> str:
    frames = shape.frame_rate.to_frames(study.network.chunk_s)
    chunk = f"{study.network.chunk_s:g} s, {_frames(frames, shape.frame_rate)}"
    return f"2 to {longest_receptive_field(frames)} frames, shorter than the chunk ({chunk})"


def _frames(frames: int, frame_rate: FrameRate) -> str:
    return f"{counted(frames, 'frame')} at {frame_rate.per_second:g} per second"


def _zones(study: CalfStudy, own: Mapping[str, Value], shape: GamesShape) -> Zones:
    """Return the zones of every class in frames: the trial's ``own``, else those of the study file."""
    try:
        zones = Zones.from_seconds(study.zones_s, shape.classes, shape.frame_rate)
    except ConfigError as error:
        error.details["key"] = "zones_s"
        raise
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
        tolerances_s=widths_s(study.scoring.tolerances),
    )


def widths_s(tolerances: Tolerances) -> tuple[float, ...]:
    """Return the tolerances that ``scoring.tolerances`` of a study file means, in seconds."""
    if isinstance(tolerances, str):
        return LOOSE_TOLERANCES_S if tolerances == "loose" else TIGHT_TOLERANCES_S
    return tolerances


def check_space(study: CalfStudy, shape: GamesShape) -> None:
    """Check that every point of the search is possible on this data.

    Raises:
        ConfigError: An r of the space has fewer than 2 frames or does not fit into a chunk, or the study
            file's own values are impossible.
    """
    for name in ("r_s", "r_frames"):
        declared = study.searched.get(name)
        for value in sorted(numbers(declared.extremes())) if declared else ():
            _, fits, shown = _length_of_r({name: value}, study, shape)
            if not fits:
                raise ConfigError(
                    f"expected r of {_possible(study, shape)}, but the space contains {shown}",
                    key=f"stages.bayes.space.{name}",
                    fix="change its bounds, or network.chunk_s",
                )
    trial_config(study, {}, shape, seed=0)

"""Check of the boundary-matching network: losses and gradients of a step beside the processor in float32."""

from collections.abc import Iterator

import numpy as np
import torch

from hpo.bench.line import NEEDS_GPU, Line, judged, not_checked
from hpo.bench.numbers import CPU, Step, compared
from hpo.bench.recording import refused_wait
from hpo.bench.setting import Setting
from model.data.activitynet.split import VideoSplit
from model.data.activitynet.synthetic import FeatureGenerator, make_videos
from model.inference.proposals import VideoBatch, VideoSource
from model.losses.boundary import BoundaryLossConfig
from model.losses.forms import TemLoss
from model.networks.bmn import BmnConfig
from model.precision import Precision, computing, precisions_of
from model.training.boundary.config import BoundaryTrialConfig
from model.training.boundary.slot import BoundarySlot

VIDEOS, BATCHES = 12, 3
STEPS = 4
POSITIONS, DIMS = 50, 64
SIZES = BmnConfig(input_size=DIMS, positions=POSITIONS, bins=16, hidden_1d=64, hidden_2d=32, hidden_3d=64)
TRIALS: dict[TemLoss, BoundaryTrialConfig] = {
    "bmn": BoundaryTrialConfig(network=SIZES),
    "context-aware": BoundaryTrialConfig(network=SIZES, loss=BoundaryLossConfig(tem_loss="context-aware")),
}


def check_boundary_step(setting: Setting) -> Iterator[Line]:
    """Compare steps with either loss on the device with the same steps on the processor in float32."""
    split = made_videos()
    for precision in precisions_of(setting.device):
        if precision == "float32" and not setting.has_gpu:
            yield not_checked(f"BMN step, {precision}", NEEDS_GPU)
        else:
            yield compared(
                f"BMN step, {precision}",
                precision,
                boundary_steps(split, precision, setting.device),
                boundary_steps(split, "float32", CPU),
            )


def check_boundary_waits(setting: Setting) -> Iterator[Line]:
    """Let CUDA refuse whatever waits for the device in a step, after one in which libraries start."""
    source = VideoSource(made_videos(), setting.device)
    for name, trial in TRIALS.items():
        slot, draws = BoundarySlot(trial), torch.Generator().manual_seed(0)
        slot.place(setting.device)
        steps = (slot.step(source.load([number, 0]), draws, "float32").total for number in range(STEPS))
        with computing("float32", setting.device):
            next(steps)
            waited = refused_wait(steps)
        yield judged(
            f"no waiting inside BMN steps, {name} loss",
            not waited,
            waited or f"{STEPS - 1} steps launched without waiting for the device",
        )


def made_videos() -> VideoSplit:
    """Return a few synthetic videos."""
    videos = tuple(make_videos({"training": VIDEOS}, classes=3, seed=1))
    generator = FeatureGenerator(DIMS, 1)
    return VideoSplit(videos, np.stack([generator(video, POSITIONS) for video in videos]))


def boundary_steps(split: VideoSplit, precision: Precision, device: torch.device) -> list[list[Step]]:
    """Train a trial with either loss for one step on each batch, from its initial weights."""
    source = VideoSource(split, device)
    batches = [range(first, VIDEOS, BATCHES) for first in range(BATCHES)]
    with computing(precision, device):
        return [
            [boundary_step(trial, source.load(batch), precision, device) for trial in TRIALS.values()]
            for batch in batches
        ]


def boundary_step(
    trial: BoundaryTrialConfig, batch: VideoBatch, precision: Precision, device: torch.device
) -> Step:
    """Train a trial for one step; return its losses and gradients, on the processor."""
    slot = BoundarySlot(trial)
    slot.place(device)
    losses = slot.step(batch, torch.Generator().manual_seed(0), precision)
    parts = torch.stack([losses.tem, losses.regression, losses.classification]).detach().cpu()
    return Step(parts, slot.gradients())

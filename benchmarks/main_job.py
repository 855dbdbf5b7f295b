"""Measurements of the main job on the Wyscout data with its fixed splits.

    python benchmarks/main_job.py --wyscout DIR --work DIR [--only scores,shuffled,study,speed,planted]

The folder of ``--wyscout`` contains events.zip, matches.zip and splits/. All files are written into the
folder of ``--work``. Prints one line per result.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from baselines.plain_network import PlainNetwork

from hpo.journal.paired import paired_difference
from hpo.report.stage_tables import format_difference
from model.data.chunks import ChunkSource, load_chunks
from model.data.sampler import ChunkBatch, ChunkSampler, SamplerConfig
from model.data.stores.building import open_split
from model.data.stores.store import Store
from model.data.synthetic import planted_zones_s, write_synthetic
from model.data.wyscout import convert_wyscout
from model.encoding import Zones
from model.inference.evaluation import CHUNKS_AT_ONCE, Evaluation, evaluate
from model.inference.stitching import tile
from model.losses.complete import LossConfig, StackLoss
from model.networks.calf import CalfNetwork
from model.networks.calf_config import NetworkConfig, Predictions
from model.precision import Precision, compute_dtype, precisions_of
from model.training.config import TrainingConfig, TrialConfig
from model.training.outcomes import Validation
from model.training.recorder import Recorder
from model.training.slot import Slot
from model.training.steps import make_steps
from model.training.trainer import TrainingArray

PAPER_ZONES_S = {"goal": (-20, -10, 60, 90), "card": (-20, -10, 10, 20), "substitution": (-40, -20, 10, 20)}
PLANTED_SEEDS = range(31, 41)
"""Seeds that were not used to choose the settings of this measurement."""
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Places:
    """Folders of data and results."""

    wyscout: Path
    work: Path

    def split(self, name: str) -> Store:
        """Open one split of the converted data."""
        return open_split(self.data(), features="EVENTS", split=name, cache=self.work / "cache")

    def data(self) -> Path:
        """Return the folder of the converted data; convert them on first use."""
        target = self.work / "wyscout"
        if not (target / "dataset.toml").exists():
            started = time.perf_counter()
            report = convert_wyscout(self.wyscout, target)
            print(f"converted {report.games} games in {time.perf_counter() - started:.0f} s", flush=True)
        return target


def paper_trial(store: Store, *, seed: int, zones_s: dict[str, tuple[float, ...]]) -> TrialConfig:
    """Make a trial with the paper's optimum for the classes of ``store``."""
    zones = Zones.from_seconds(zones_s, store.classes, store.frame_rate)
    network = NetworkConfig(input_size=store.dims, classes=len(store.classes))
    return TrialConfig(network=network, loss=LossConfig(zones=zones), seed=seed, data_seed=seed)


def training_of(chunks: int, *, precision: Precision) -> TrainingConfig:
    """Make a training on ``chunks`` chunks in balanced batches of 32, as for the published results."""
    per_epoch = 3_000
    sampler = SamplerConfig(name="balanced", chunks_per_epoch=per_epoch)
    epochs = chunks // per_epoch
    return TrainingConfig(epochs=epochs, validate_every=epochs, sampler=sampler, precision=precision)


@dataclass(frozen=True)
class Score:
    """Scores of one training."""

    average_map: float
    """Average-mAP with an NMS window as wide as each tolerance (2020 code, our default)."""
    average_map_20s: float
    """Average-mAP with an NMS window of 20 s (2021 code, as for the published results)."""
    seconds: float


def train_and_score(train: Store, valid: Store, trial: TrialConfig, training: TrainingConfig) -> Score:
    """Train a trial to its end and score it on ``valid`` with both NMS windows."""
    started = time.perf_counter()
    array, slot = TrainingArray(training, train=train, valid=valid, device=CPU), Slot(trial)
    array.slots = [slot]
    (outcome,) = array.advance()
    if not isinstance(outcome.result, Validation):
        raise outcome.result
    fixed = validated(slot.network, valid, trial, training.precision, nms_window_s=20.0)
    score = outcome.result.metrics["average_map"]
    return Score(score, fixed.score.average_map, time.perf_counter() - started)


def validated(
    network: CalfNetwork,
    valid: Store,
    trial: TrialConfig,
    precision: Precision,
    nms_window_s: float | None = None,
) -> Evaluation:
    """Run one whole validation."""
    source = ChunkSource(valid, trial.network.chunk_frames, device=CPU, dtype=compute_dtype(precision))
    (evaluation,) = evaluate([network], source, [trial.loss], device=CPU, nms_window_s=nms_window_s)
    return evaluation


def paper_score(train: Store, valid: Store, *, chunks: int, seed: int, precision: Precision) -> Score:
    """Train the paper's hyperparameters on ``chunks`` chunks and score them."""
    trial = paper_trial(train, seed=seed, zones_s=PAPER_ZONES_S)
    return train_and_score(train, valid, trial, training_of(chunks, precision=precision))


def scores(places: Places) -> None:
    """Measurement 1: scores of the paper's hyperparameters over three seeds, against 0.269 and 0.383."""
    train, valid = places.split("train"), places.split("valid")
    for precision in ("bfloat16", "float32"):
        runs = []
        for seed in (1, 2, 3):
            runs.append(paper_score(train, valid, chunks=24_000, seed=seed, precision=precision))
            print(f"24,000 chunks {precision} seed {seed}: {runs[-1]}", flush=True)
        report_spread(f"24,000 chunks {precision} (published: 0.269, 0.264 to 0.278)", runs)
    run = paper_score(train, valid, chunks=96_000, seed=1, precision="bfloat16")
    print(f"96,000 chunks bfloat16 seed 1 (published: 0.383): {run}", flush=True)


def report_spread(name: str, runs: list[Score]) -> None:
    """Print mean, standard deviation and range of both scores."""
    for label in ("average_map", "average_map_20s"):
        values = [getattr(run, label) for run in runs]
        print(
            f"{name}: {label} mean {statistics.mean(values):.4f}, sd {statistics.stdev(values):.4f}, "
            f"{min(values):.4f} to {max(values):.4f}",
            flush=True,
        )


def shuffled(places: Places) -> None:
    """Measurement 2: scores after shuffling the features of every half in time, with nothing to learn."""
    runs = []
    for seed in (1, 2, 3):
        train, valid = (shuffle_in_time(places.split(name), seed) for name in ("train", "valid"))
        runs.append(paper_score(train, valid, chunks=24_000, seed=seed, precision="bfloat16"))
    report_spread("features shuffled in time, 24,000 chunks (goal: at most 0.03)", runs)


def shuffle_in_time(store: Store, seed: int) -> Store:
    """Return the store with the frames of every half in random order, and unchanged actions."""
    random = np.random.default_rng(seed)
    rows = [half.first_frame + random.permutation(half.frames) for half in store.halves]
    return replace(store, features=np.asarray(store.features)[np.concatenate(rows)])


def study(places: Places) -> None:
    """Measurement 3: a whole study of 12 trials on the command line."""
    runs = places.work / "runs"
    name = f"benchmark-{int(time.time())}"
    environment = {**os.environ, "HPO_RUNS": str(runs), "HPO_CACHE": str(places.work / "cache")}
    command = [sys.executable, "-m", "hpo", "run", "bayes", "--features", "EVENTS", "--study", name]
    command += ["--data", str(places.data()), "--trials", "12", "--games", "60,30", "--epochs", "12"]
    started = time.perf_counter()
    subprocess.run(command, env=environment, check=True)
    seconds = time.perf_counter() - started
    listing = [sys.executable, "-m", "hpo", "best", name, "--json", "--top", "12"]
    answer = subprocess.run(listing, env=environment, check=True, capture_output=True, text=True)
    trials = json.loads(answer.stdout)["best"]
    own = next(trial for trial in trials if trial["trial"] == "bayes-0001")
    print(
        f"study of 12 trials, 60 training and 30 validation games, 12 epochs: {seconds:.0f} s; "
        f"paper's point {own['average_map']:.4f}, best {trials[0]['average_map']:.4f} by "
        f"{trials[0]['trial']} {trials[0]['parameters']}",
        flush=True,
    )


def speed(places: Places) -> None:
    """Measurement 4: chunks per second and seconds per validation, in alternation with the plain network."""
    train, valid = places.split("train"), places.split("valid")
    config = paper_trial(train, seed=0, zones_s=PAPER_ZONES_S)
    batches = ChunkSampler(train, SamplerConfig(name="balanced"), 0).epoch(0)[:12]
    works: dict[str, Callable[[ChunkBatch], None]] = {
        "plain float32": plain_step(config, train),
        "ours float32": our_step(config, train, "float32"),
        "ours bfloat16": our_step(config, train, "bfloat16"),
    }
    rates: dict[str, list[float]] = {name: [] for name in works}
    for batch in batches:
        for name, work in works.items():
            started = time.perf_counter()
            work(batch)
            rates[name].append(len(batch) / (time.perf_counter() - started))
    report_rates("training, chunks/s at batch 32", {name: values[2:] for name, values in rates.items()})
    time_validation(config, valid)


def plain_step(config: TrialConfig, train: Store) -> Callable[[ChunkBatch], None]:
    """Return a training step of the plain network in float32."""
    network = PlainNetwork(config.network)
    optimizer = torch.optim.Adam(network.parameters())
    loss = StackLoss([config.loss], [config.network.edge_frames], CPU)

    def step(batch: ChunkBatch) -> None:
        chunks = load_chunks(train, batch, config.network.chunk_frames, device=CPU, dtype=torch.float32)
        said = network(chunks.features[0])
        losses = loss(Predictions(said.segmentation[None], said.spotting[None]), chunks)
        optimizer.zero_grad()
        loss.total(losses).backward()
        optimizer.step()

    return step


def our_step(config: TrialConfig, train: Store, precision: Precision) -> Callable[[ChunkBatch], None]:
    """Return a training step of this project."""
    source = ChunkSource(train, config.network.chunk_frames, device=CPU, dtype=compute_dtype(precision))
    steps = make_steps([[Slot(config)]], source, CPU, Recorder())

    def step(batch: ChunkBatch) -> None:
        steps.epoch([[batch]], [[1e-3]])

    return step


def report_rates(name: str, rates: dict[str, list[float]]) -> None:
    """Print medians, and the median of the ratios to the first entry, batch by batch."""
    first = next(iter(rates.values()))
    for label, values in rates.items():
        ratios = [value / base for value, base in zip(values, first, strict=True)]
        print(
            f"{name}: {label} {statistics.median(values):.1f}, {statistics.median(ratios):.2f} times plain",
            flush=True,
        )


def time_validation(config: TrialConfig, valid: Store) -> None:
    """Time whole validations of this project and forward passes of the plain network."""
    plain = PlainNetwork(config.network).eval()
    network, precisions = Slot(config).network, precisions_of(torch.device("cpu"))
    seconds: dict[str, list[float]] = {name: [] for name in ("plain forward alone", *precisions)}
    for _ in range(5):
        started = time.perf_counter()
        plain_forward(plain, valid)
        seconds["plain forward alone"].append(time.perf_counter() - started)
        for precision in precisions:
            started = time.perf_counter()
            validated(network, valid, config, precision)
            seconds[precision].append(time.perf_counter() - started)
    for name, values in seconds.items():
        ratios = [base / value for base, value in zip(seconds["plain forward alone"], values, strict=True)]
        print(
            f"validation of {len(valid.games)} games: {name} {statistics.median(values):.2f} s, "
            f"{statistics.median(ratios):.2f} times plain",
            flush=True,
        )


@torch.no_grad()
def plain_forward(network: PlainNetwork, valid: Store) -> None:
    """Run all chunks of a split through the plain network."""
    frames, edge = network.config.chunk_frames, network.config.edge_frames
    chunks = tile(valid.halves, chunk_frames=frames, edge_frames=edge).chunks
    for first in range(0, len(chunks), CHUNKS_AT_ONCE):
        rows = slice(first, first + CHUNKS_AT_ONCE)
        batch = ChunkBatch(chunks.half[rows], chunks.start[rows])
        network(load_chunks(valid, batch, frames, device=CPU, dtype=torch.float32).features[0])


def planted(places: Places) -> None:
    """Compare the planted zones of the synthetic data with zones cut to a quarter, seed by seed.

    The training is short and has a large segmentation weight: in a long one, the spotting module learns the
    context by itself.
    """
    root = places.work / "synthetic"
    if not (root / "dataset.toml").exists():
        write_synthetic(root, games={"train": 16, "valid": 8, "test": 1}, minutes=20, seed=1)
    train, valid = (
        open_split(root, features="synthetic", split=name, cache=places.work / "cache")
        for name in ("train", "valid")
    )
    whole = planted_zones_s()
    quarter = {name: tuple(value / 4 for value in zones) for name, zones in whole.items()}
    training = TrainingConfig(epochs=12, validate_every=12, precision="bfloat16")
    scores: dict[str, dict[int, Score]] = {"planted zones": {}, "a quarter of them": {}}
    for seed in PLANTED_SEEDS:
        for (label, runs), zones in zip(scores.items(), (whole, quarter), strict=True):
            trial = paper_trial(train, seed=seed, zones_s=zones)
            trial = replace(trial, loss=replace(trial.loss, lambda_seg=10.0))
            runs[seed] = train_and_score(train, valid, trial, training)
            print(f"synthetic data, {label}, seed {seed}: {runs[seed]}", flush=True)
    for label, runs in scores.items():
        report_spread(f"synthetic data, {label}", list(runs.values()))
    ours, theirs = ({seed: run.average_map for seed, run in runs.items()} for runs in scores.values())
    print(f"planted minus a quarter: {format_difference(paired_difference(ours, theirs))}", flush=True)


def main() -> None:
    """Run the selected measurements."""
    figures = {"scores": scores, "shuffled": shuffled, "study": study, "speed": speed, "planted": planted}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wyscout", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", default=",".join(figures))
    arguments = parser.parse_args()
    places = Places(arguments.wyscout, arguments.work)
    for name in arguments.only.split(","):
        figures[name](places)


if __name__ == "__main__":
    main()

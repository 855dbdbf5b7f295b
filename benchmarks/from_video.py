"""From generated videos to spots: every step a command, as a person would type it.

    python benchmarks/from_video.py chain --work DIR [--minutes 30] [--fps 2]
    python benchmarks/from_video.py speed --work DIR
    python benchmarks/from_video.py kill --work DIR

``chain`` plants actions as colours and shapes in five videos, extracts four of them, trains, and spots the
fifth; the same network is scored on shuffled labels too. ``speed`` times decoding, a network and both
together, without the start of Python. ``kill`` ends an extraction with SIGKILL, runs it again and compares
the files.
"""

import argparse
import csv
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import torch
from imageio_ffmpeg import get_ffmpeg_exe

from model.features.decoding import frames_from
from model.features.networks import FeatureNetwork, load_network
from model.features.part import BATCH, PartFile, extract_part
from model.features.pictures import Cropper
from model.recipe import Recipe

RATE, HEIGHT, WIDTH = Fraction(5), 72, 128
SHOWN_S = 8.0
"""Seconds after an action in which the picture shows it."""
CLASSES = ("goal", "card")
STUDY = """
task = "calf"
[network]
chunk_s = 30.0
[training]
epochs = 400
action_margin_s = 5.0
[scoring]
tolerances = "tight"
[hyperparameters]
r_s = 8.0
[zones_s]
default = [-8.0, -4.0, 4.0, 8.0]
[stages.bayes]
trials = 4
[stages.bayes.space]
f = { type = "int", low = 4, high = 32, log = true }
r_s = { type = "float", low = 4.0, high = 12.0, log = true }
lambda_seg = { type = "float", low = 0.1, high = 15.0, log = true }
"""
"""Study file for spots that are right to the second: short chunks, zones as long as an action is shown, and
the tight score."""


class RandomNetwork(torch.nn.Module):
    """Small convolutions with weights drawn from a seed, never trained."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 16, 8, stride=8),
            torch.nn.ReLU(),
            torch.nn.Conv2d(16, 32, 4, stride=4),
            torch.nn.ReLU(),
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return 128 values a picture."""
        return torch.nn.functional.adaptive_avg_pool2d(self.layers(pictures), 2).flatten(1)


def planted(seconds: float, seed: int) -> list[tuple[float, str]]:
    """Times and classes of actions, 40 s apart at least."""
    random = np.random.default_rng(seed)
    times, now = [], 30.0
    while (now := now + 40 + float(random.exponential(20))) < seconds - 30:
        times.append((round(now, 1), str(random.choice(CLASSES))))
    return times


def picture_at(
    time_s: float, actions: list[tuple[float, str]], random: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """A green field with noise and a white dot that wanders; red after goals, a yellow square after cards."""
    picture = np.full((HEIGHT, WIDTH, 3), (40, 120, 40), dtype=np.int16)
    picture += random.integers(-20, 21, picture.shape, dtype=np.int16)
    row, column = (int(value) for value in (30 + 20 * np.sin(time_s / 3), 64 + 25 * np.cos(time_s / 5)))
    picture[row : row + 6, column : column + 6] = 230
    for at, name in actions:
        if 0 <= time_s - at < SHOWN_S:
            if name == "goal":
                picture[..., 0] += 90
            else:
                picture[20:50, 44:84] = (220, 210, 30)
    return np.clip(picture, 0, 255).astype(np.uint8)


def write_match(
    file: Path, seconds: float, seed: int, *, scale: int = 1, rate: Fraction = RATE
) -> list[tuple[float, str]]:
    """Write a video and return its actions."""
    actions, random = planted(seconds, seed), np.random.default_rng(seed + 1000)
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "g": "50"})
        stream.width, stream.height, stream.pix_fmt = WIDTH * scale, HEIGHT * scale, "yuv420p"
        for number in range(int(seconds * rate)):
            picture = picture_at(float(number / rate), actions, random)
            large = np.ascontiguousarray(picture.repeat(scale, axis=0).repeat(scale, axis=1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(large, format="rgb24")))
        container.mux(stream.encode())
    return actions


def write_network(file: Path) -> Path:
    """Write the random network as a TorchScript file."""
    torch.jit.save(torch.jit.trace(RandomNetwork().eval(), torch.zeros(2, 3, 224, 224)), str(file))
    return file


def hpo(*words: object, folder: Path) -> str:
    """Run a command and return what it says; show it with its time."""
    started = time.monotonic()
    command = [sys.executable, "-m", "hpo", *map(str, words)]
    environment = {**os.environ, "HPO_CACHE": str(folder / "cache"), "HPO_RUNS": str(folder / "runs")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    print(
        f"$ hpo {' '.join(map(str, words))}\n{done.stdout}{done.stderr}({time.monotonic() - started:.0f} s)",
        flush=True,
    )
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def write_table(file: Path, rows: list[tuple[object, ...]]) -> Path:
    """Write a CSV table; the first row is the head."""
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return file


def chain(folder: Path, minutes: float, fps: float) -> None:
    """Run all commands, from videos to spots."""
    seconds, splits = 60 * minutes, ("train", "train", "valid", "test")
    actions = {f"match{n}": write_match(folder / f"match{n}.mp4", seconds, seed=n) for n in range(1, 6)}
    network = write_network(folder / "random.pt")
    names = list(actions)[:4]
    table = write_table(
        folder / "games.csv",
        [
            ("game", "part", "video", "split"),
            *((name, 1, f"{name}.mp4", split) for name, split in zip(names, splits, strict=True)),
        ],
    )
    annotated = [(name, 1, at, label) for name in names for at, label in actions[name]]
    labels = write_table(folder / "labels.csv", [("game", "part", "time", "label"), *annotated])
    extract = ("data", "extract", "--games", table, "--to", "data", "--model", network, "--dims", 32)
    hpo(*extract, "--fps", fps, folder=folder)
    hpo("data", "labels", "--from", labels, "--to", "data", folder=folder)
    hpo("data", "check", "data", "--features", "RANDOM_PCA32", folder=folder)
    (folder / "study.toml").write_text(STUDY)
    words = ("--data", "data", "--features", "RANDOM_PCA32", "--study-file", "./study.toml")
    hpo("run", "bayes", *words, "--study", "videos", folder=folder)
    best = json.loads(hpo("best", "videos", "--json", folder=folder))
    name = best["best"][0]["trial"]
    weights = folder / "runs" / "studies" / "videos" / "trials" / name / "best.pt"
    hpo("evaluate", "--weights", weights, "--data", "data", "--split", "test", folder=folder)
    random = np.random.default_rng(9)
    shuffled = [
        (name, 1, round(float(random.uniform(30, seconds - 30)), 1), label) for name, _, _, label in annotated
    ]
    subprocess.run(["cp", "-r", folder / "data", folder / "shuffled"], check=True)
    hpo(
        "data",
        "labels",
        "--from",
        write_table(folder / "shuffled.csv", [("game", "part", "time", "label"), *shuffled]),
        "--to",
        "shuffled",
        folder=folder,
    )
    hpo("evaluate", "--weights", weights, "--data", "shuffled", "--split", "test", folder=folder)
    files = ("--model-weights", network, "--pca", "data/RANDOM_PCA32.npz")
    hpo("spot", "--weights", weights, "--video", "match5.mp4", "--to", "spots", *files, folder=folder)
    spots = json.loads((folder / "spots/match5/results_spotting.json").read_text())["predictions"]
    compare(
        actions["match5"],
        [(int(each["position"]) / 1000, each["label"], float(each["confidence"])) for each in spots],
    )
    hpo(
        "highlights",
        "--weights",
        weights,
        "--video-1",
        "match5.mp4",
        "--to",
        "film",
        *files,
        "--before",
        3,
        "--after",
        5,
        folder=folder,
    )


def compare(actions: list[tuple[float, str]], spots: list[tuple[float, str, float]]) -> None:
    """Show how far the closest spot of its class is from every action."""
    sure = [spot for spot in spots if spot[2] >= 0.5]
    off = [
        min((abs(at - time_s) for time_s, label, _ in sure if label == name), default=np.inf)
        for at, name in actions
    ]
    print(f"{len(actions)} actions in the fifth video, {len(sure)} spots of a confidence of 0.5 or more")
    for limit in (0.5, 1.0, 2.0, 5.0):
        print(f"actions with a spot within {limit:g} s: {sum(each <= limit for each in off)}")
    print(f"median distance {np.median(off):.2f} s")


class Waiting(torch.nn.Module):
    """Stand-in for a network on a GPU: it takes its time without the processor."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        """Seconds for one picture."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return one value a picture."""
        time.sleep(self.seconds * len(pictures))
        return pictures.mean(dim=(1, 2, 3))[:, None]


def speed(folder: Path, rounds: int = 3) -> None:
    """Time decoding alone, networks alone and both together, in turns, on 720p at 25 pictures a second.

    A minute of it for ResNet-152, and the same four times over for networks that take less.
    """
    minute, cpu = folder / "large.mp4", torch.device("cpu")
    if not minute.is_file():
        write_match(minute, 60, seed=1, scale=10, rate=Fraction(25))
    longer = repeated(minute, folder / "longer.mp4", times=4)
    small = load_network(str(write_network(folder / "random.pt")), None, cpu)
    pictures, decoding_s = decoded(longer, Cropper(small.size))
    waiting = FeatureNetwork("waits as long as decoding takes", Waiting(decoding_s / len(pictures)), "none")
    large = load_network(*load_timm(folder, "resnet152.tv_in1k"), cpu)
    for network, video in ((small, longer), (waiting, longer), (large, minute)):
        recipe = Recipe(
            model=network.name, weights=network.weights, preprocessing=network.preprocessing, frame_rate=2
        )
        times = []
        for _ in range(rounds):
            pictures, decoding_s = decoded(video, Cropper(network.size))
            alone_s = seconds(partial(in_batches, network, pictures, cpu))
            target = PartFile(folder=folder / "speed", number=1, stem="features")
            shutil.rmtree(target.folder, ignore_errors=True)
            extract = partial(extract_part, video, target, network, recipe, device=cpu)
            both_s = seconds(partial(extract, note=print, progress=lambda *_: None))
            times.append((decoding_s, alone_s, both_s, both_s / max(decoding_s, alone_s)))
        decoding_s, alone_s, both_s, ratio = (
            statistics.median(column) for column in zip(*times, strict=True)
        )
        print(
            f"{network.name}: decoding alone {decoding_s:.1f} s, network alone {alone_s:.1f} s, both "
            f"{both_s:.1f} s, {ratio:.2f} of the slower one (medians of {rounds})",
            flush=True,
        )
    compare_formats(large, pictures[:16])
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def repeated(video: Path, target: Path, times: int) -> Path:
    """Write a video that shows ``video`` several times."""
    command = [get_ffmpeg_exe(), "-y", "-v", "error", "-stream_loop", str(times - 1), "-i", str(video)]
    subprocess.run([*command, "-c", "copy", str(target)], check=True)
    return target


def decoded(video: Path, crop: Cropper) -> tuple[npt.NDArray[np.uint8], float]:
    """Decode and crop a video; return its pictures and the seconds that it took."""
    started = time.monotonic()
    pictures = np.stack([crop(frame) for frame in frames_from(video, 2.0)])
    return pictures, time.monotonic() - started


def in_batches(network: FeatureNetwork, pictures: npt.NDArray[np.uint8], device: torch.device) -> None:
    """Compute features as an extraction does."""
    for start in range(0, len(pictures), BATCH):
        network.features(pictures[start : start + BATCH], device)


def compare_formats(network: FeatureNetwork, pictures: npt.NDArray[np.uint8]) -> None:
    """Print how long bfloat16 takes beside float32."""
    device = torch.device("cpu")
    with torch.autocast("cpu", torch.bfloat16):
        rounded_s = seconds(lambda: network.features(pictures, device))
    exact_s = seconds(lambda: network.features(pictures, device))
    print(f"{network.name}: bfloat16 takes {rounded_s / exact_s:.2f} of the time of float32")


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def load_timm(folder: Path, name: str) -> tuple[str, Path]:
    """Draw weights for a network of timm from a seed, as no published ones are at hand."""
    from model.features.extra import imported_timm

    torch.manual_seed(1)
    file = folder / f"{name}.pth"
    torch.save(imported_timm().create_model(name, pretrained=False).state_dict(), file)
    return name, file


def kill(folder: Path) -> None:
    """End an extraction with SIGKILL after some blocks, and run it again."""
    video, (model, weights) = folder / "match.mp4", load_timm(folder, "resnet18.tv_in1k")
    write_match(video, 120, seed=3)
    words = ["data", "extract", "--video", video, "--model", model, "--weights", weights, "--to"]
    hpo(*words, "whole", folder=folder)
    rows = folder / "killed/match/.1_RESNET18.rows"
    process = subprocess.Popen([sys.executable, "-m", "hpo", *map(str, words), "killed"], cwd=folder)
    while not rows.is_file() or rows.stat().st_size < 2 * BATCH * 512 * 2:
        time.sleep(0.2)
    process.kill()
    process.wait()
    print(f"killed with {rows.stat().st_size // 1024} rows on disk")
    hpo(*words, "killed", folder=folder)
    whole, again = (np.load(folder / name / "match/1_RESNET18.npy") for name in ("whole", "killed"))
    print(f"rows {len(whole)} and {len(again)}, equal to the last bit: {np.array_equal(whole, again)}")


def main() -> None:
    """Read the options and run one of the three."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("chain", "speed", "kill"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--fps", type=float, default=2, help="features per second")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.what == "chain":
        chain(options.work.resolve(), options.minutes, options.fps)
    else:
        {"speed": speed, "kill": kill}[options.what](options.work.resolve())


if __name__ == "__main__":
    main()

"""``hpo run bmn-...``: studies of boundary-matching networks on ActivityNet (section 4.2)."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hpo.cli.launching import Launch, two_counts
from hpo.cli.run import Array, Concurrent, Device, DryRun, Epochs, From, Replicates, Seed, Seeds
from hpo.cli.running import RayAddress, ReadingProgress
from model.errors import ConfigError

DEMO_VIDEOS = {"training": 64, "validation": 32}
"""Made videos of the embedded default."""
DEMO_POSITIONS, DEMO_DIMS, DEMO_CLASSES = 32, 32, 5
"""Of their features; the study file ``bmn-demo`` fits."""

Data = Annotated[
    Path | None,
    typer.Option(
        help="Folder with annotations and csv_mean_100. Default: small made videos, as a new study."
    ),
]
Study = Annotated[
    str | None,
    typer.Option(
        help="Study to go on with; with --data or --from, the name of a new one. Default: a new one."
    ),
]
StudyFileOption = Annotated[
    str | None,
    typer.Option(help="A study file: bmn, bmn-demo, or a path. Default: bmn, without --data bmn-demo."),
]
Videos = Annotated[
    str | None, typer.Option(metavar="TRAIN,VALID", help="Use the first videos of the two subsets only.")
]
Runs = Annotated[int | None, typer.Option(min=2, help="Trainings of each loss. Default: 20, as the paper.")]
TemLoss = Annotated[
    str | None, typer.Option(help="bmn or context-aware: train this loss only. Default: both.")
]


def slicing(
    data: Data = None,
    study: Study = None,
    start: From = None,
    replicates: Replicates = None,
    seeds: Seeds = None,
    epochs: Epochs = None,
    videos: Videos = None,
    concurrent: Concurrent = None,
    array: Array = None,
    study_file: StudyFileOption = None,
    seed: Seed = 0,
    device: Device = "auto",
    ray_address: RayAddress = None,
    dry_run: DryRun = False,
) -> None:
    """ActivityNet: find K1 of the context-aware loss, K1 = 2 K2 = -2 K3 = -K4, judged by AUC."""
    options = {
        "replicates": replicates,
        "seeds": seeds,
        "epochs": epochs,
        "concurrent": concurrent,
        "array": array,
    }
    launch = _launch(data, study_file, videos, seed, device, ray_address, dry_run=dry_run)
    _run(launch, "bmn-slicing", options, study, start, is_new=bool(data or start))


def compare(
    data: Data = None,
    study: Study = None,
    start: From = None,
    runs: Runs = None,
    tem_loss: TemLoss = None,
    epochs: Epochs = None,
    videos: Videos = None,
    concurrent: Concurrent = None,
    array: Array = None,
    study_file: StudyFileOption = None,
    seed: Seed = 0,
    device: Device = "auto",
    ray_address: RayAddress = None,
    dry_run: DryRun = False,
) -> None:
    """ActivityNet: BMN's own loss against the context-aware one, over many runs (Table 3)."""
    options = {
        "runs": runs,
        "tem_losses": None if tem_loss is None else [tem_loss],
        "epochs": epochs,
        "concurrent": concurrent,
        "array": array,
    }
    launch = _launch(data, study_file, videos, seed, device, ray_address, dry_run=dry_run)
    _run(launch, "bmn-compare", options, study, start, is_new=bool(data or start))


def _run(
    launch: Launch,
    stage: str,
    options: dict[str, Any],
    study: str | None,
    start: str | None,
    *,
    is_new: bool,
) -> None:
    """Go on with the study of that name, or begin one; a name alone that nobody knows is a mistake."""
    if study is not None and not is_new and not launch.is_known(study):
        raise ConfigError(
            f"there is no study {study!r} to go on with",
            fix="to begin one of that name, add --data or --from",
        )
    if launch.is_known(study):
        launch.go_on(start, stage, options, study)
    else:
        launch.start_from(start, stage, options, study)


def _launch(
    data: Path | None,
    study_file: str | None,
    videos: str | None,
    seed: int,
    device: str,
    ray_address: str | None,
    *,
    dry_run: bool,
) -> Launch:
    from hpo.config.environment import read_environment
    from hpo.study.plan import StudyRequest

    environment = read_environment().on_cluster(ray_address)
    demo = environment.runs / "data" / f"videos-{seed}"
    request = StudyRequest(
        study_file=study_file or ("bmn-demo" if data is None else "bmn"),
        data=str((data or demo).absolute()),
        counts=two_counts(videos, "--videos"),
        seed=seed,
        device=device,
    )
    return Launch(
        request=request,
        environment=environment,
        make_data=lambda: _make_videos(demo, seed) if data is None else None,
        has_data=data is not None,
        has_study_file=study_file is not None,
        dry_run=dry_run,
    )


def _make_videos(folder: Path, seed: int) -> None:
    """Make annotated videos with features for those who have none; what is there stays."""
    from model.data.activitynet.synthetic import make_dataset, make_videos

    with ReadingProgress() as progress:
        make_dataset(
            folder,
            make_videos(DEMO_VIDEOS, classes=DEMO_CLASSES, seed=seed),
            positions=DEMO_POSITIONS,
            dims=DEMO_DIMS,
            seed=seed,
            progress=lambda done, videos: progress("making videos", done, videos),
        )

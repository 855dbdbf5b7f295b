"""Task ``bmn``: boundary-matching networks on ActivityNet, with the losses that section 4.2 compares."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from hpo.programs.grid import ConfigurationExplorer, GridProgram
from hpo.programs.listed import FIRST_COMPARISON_REPLICATE, ListedProgram
from hpo.programs.program import Program
from hpo.space.space import Parameters
from hpo.tasks.base.splits import DataRequest, DataShape, OpenedData, Progress, SplitRef
from hpo.tasks.base.task import StageContext, Task, TrialTime
from hpo.tasks.bmn.description import BmnDescription
from hpo.tasks.bmn.study_file import BmnStudy, CompareStage, Hyperparameters, SlicingStage
from model.data.activitynet.features import DIMS_STEP, feature_folder, odd_dims
from model.data.activitynet.split import VideoSplit
from model.data.activitynet.video_store import BuiltSplit, build_splits, open_video_split
from model.errors import ConfigError
from model.losses.boundary import BoundaryLossConfig
from model.metrics.soft_nms import SoftNmsConfig
from model.networks.bmn import BmnConfig, BoundaryMatchingNetwork
from model.precision import Precision, processor_precision
from model.training.boundary.config import BoundaryTrainingConfig, BoundaryTrialConfig
from model.training.boundary.slot import BoundarySlot
from model.training.boundary.throughput import faster_precision, measure_speed
from model.training.boundary.trainer import BoundaryArray
from model.training.checkpoint import load_checkpoint, save_checkpoint
from model.wording import counted

SUBSETS = ("training", "validation")


class BmnTask(BmnDescription, Task[BmnStudy, DataShape, VideoSplit, BoundarySlot]):
    """Temporal proposals on videos with the boundary-matching network, scored by AUC of average recall."""

    def open_data(self, request: DataRequest, study: BmnStudy, progress: Progress) -> OpenedData[DataShape]:
        """Copy annotations and features in the published layout into the cache."""
        features = f"csv_mean_{study.network.positions}"
        if request.features not in (None, features):
            raise ConfigError(
                f"expected features {features} for network.positions = {study.network.positions}, "
                f"got {request.features!r}; leave --features out, or set positions under [network]"
            )
        place = Path(request.place)
        built = build_splits(
            place,
            dict(zip(SUBSETS, request.counts or (None, None), strict=True)),
            request.cache,
            positions=study.network.positions,
            skip_missing=study.data.skip_missing,
            progress=progress,
        )
        train, valid = (_reference(built[subset]) for subset in SUBSETS)
        splits = [self.open_split(split) for split in (train, valid)]
        if splits[0].dims != splits[1].dims:
            raise ConfigError(
                f"features have {splits[0].dims} dimensions in training and {splits[1].dims} in validation"
            )
        shape = self.shape(splits[0])
        if shape.dims % DIMS_STEP:
            raise ConfigError(odd_dims(shape.dims), folder=feature_folder(place, study.network.positions))
        self._trial(study, {}, shape)
        return OpenedData(
            dataset=f"{place.name}/{features}",
            features=features,
            shape=shape,
            train=train,
            valid=valid,
            digest=f"{splits[0].digest}+{splits[1].digest}",
        )

    def open_split(self, split: SplitRef) -> VideoSplit:
        """Open a split from the cache."""
        return open_video_split(split.folder)

    def shape(self, split: VideoSplit) -> DataShape:
        """Return the feature dimensions of a split."""
        return DataShape(dims=split.dims)

    def data_options(self, features: str, counts: tuple[int, int]) -> list[str]:
        """Return ``--videos`` with the number of videos; the study file determines the features."""
        return ["--videos", f"{counts[0]},{counts[1]}"]

    def describe_split(self, split: VideoSplit) -> str:
        """Describe positions, activities and class scores."""
        activities = sum(len(video.segments_s) for video in split.videos)
        classes = len({label for video in split.videos for label in video.labels})
        scored = ", with class scores" if split.class_scores is not None else ""
        return (
            f"{split.positions} positions of {split.dims} values, {activities:,} activities "
            f"of {classes} classes{scored}"
        )

    def describe_training(self, study: BmnStudy, shape: DataShape) -> str:
        """Describe epochs, batches and learning rates."""
        training, rate = study.training, study.hyperparameters.learning_rate
        return (
            f"{counted(training.epochs, 'epoch')}, {training.batch_videos} videos per batch, "
            f"validation every {counted(training.validated_every, 'epoch')}, learning rate {rate:g}, "
            f"times {training.rate_drop:g} every {counted(training.rate_drop_epochs, 'epoch')}"
        )

    def check_parameters(self, study: BmnStudy, parameters: Parameters, shape: DataShape) -> None:
        """Check a configuration by making a trial's settings, without its network."""
        self._trial(study, parameters, shape)

    def slot(
        self, study: BmnStudy, parameters: Parameters, shape: DataShape, *, seed: int, data_seed: int
    ) -> BoundarySlot:
        """Create a trial whose network has weights drawn from ``seed``."""
        return BoundarySlot(self._trial(study, parameters, shape, seed=seed, data_seed=data_seed))

    def shared(self, study: BmnStudy, shape: DataShape, precision: Precision) -> BoundaryTrainingConfig:
        """Return epochs, batch size, precision and soft-NMS."""
        return BoundaryTrainingConfig(
            epochs=study.training.epochs,
            validate_every=study.training.validated_every,
            batch_videos=study.training.batch_videos,
            precision=precision,
            nms=SoftNmsConfig(**study.scoring.model_dump()),
        )

    def array(
        self,
        shared: Any,
        *,
        train: VideoSplit,
        valid: VideoSplit,
        device: torch.device,
        on_note: Callable[[str], None],
    ) -> BoundaryArray:
        """Create an array that trains its trials one after the other."""
        return BoundaryArray(shared, train=train, valid=valid, device=device, on_note=on_note)

    def save_network(
        self, slot: BoundarySlot, shape: DataShape, shared: Any, file: Path, notes: Mapping[str, Any]
    ) -> None:
        """Write weights and settings, without the state of the optimiser."""
        content = {"config": asdict(slot.config), "network": slot.network.state_dict()}
        save_checkpoint(file, {**content, **notes})

    def load_network(self, file: Path) -> BoundaryMatchingNetwork:
        """Return the network in a file."""
        content = load_checkpoint(file)
        network = BoundaryMatchingNetwork(BmnConfig(**content["config"]["network"]), torch.Generator())
        network.load_state_dict(content["network"])
        return network

    def precision(
        self, study: BmnStudy, shape: DataShape, train: VideoSplit, device: torch.device
    ) -> Precision:
        """Return the precision of the study file; for ``auto``, a GPU measures which one is fastest."""
        if study.training.precision != "auto":
            return study.training.precision
        if device.type == "cpu":
            return processor_precision()
        training = self.shared(study, shape, "float32")
        return faster_precision(self._trial(study, {}, shape), training, train, device)

    def trial_time(
        self,
        study: BmnStudy,
        shape: DataShape,
        splits: tuple[VideoSplit, VideoSplit],
        precision: Precision,
        device: torch.device,
        array: int,
    ) -> TrialTime:
        """Estimate the duration of a trial from a training step and a prediction of a batch."""
        train, valid = splits
        shared = self.shared(study, shape, precision)
        speed = measure_speed(self._trial(study, {}, shape), shared, train, device)
        validations = -(-shared.epochs // shared.validate_every)
        trained, scored = shared.epochs * len(train.videos), validations * len(valid.videos)
        return TrialTime(
            trial_s=array * (trained / speed.training + scored / speed.evaluation),
            speed=f"{speed.training:,.1f} videos/s in training, {speed.evaluation:,.1f} in validation "
            "(measured now)",
            work=f"{counted(shared.epochs, 'epoch')} of {len(train.videos):,} videos, "
            f"{counted(validations, 'validation')} of {len(valid.videos):,}",
        )

    def weight_count(self, study: BmnStudy, shape: DataShape) -> int:
        """Return the number of weights of the network."""
        slot = self.slot(study, {}, shape, seed=0, data_seed=0)
        return sum(weight.numel() for weight in slot.network.parameters())

    def varied(self, study: BmnStudy, stage: str, shape: DataShape) -> dict[str, Any]:
        """Return the hyperparameters that a stage varies: K1 in the grid, the loss in the comparison."""
        match study.stages.named(stage):
            case SlicingStage() as settings:
                return {"K1_positions": {"grid": list(settings.K1_positions)}}
            case CompareStage() as settings:
                return {"tem_loss": {"losses": list(settings.tem_losses)}}
        return super().varied(study, stage, shape)

    def program(self, context: StageContext[BmnStudy, DataShape]) -> Program:
        """Build the program of a stage: search, grid over K1, or comparison of losses."""
        match context.study.stages.named(context.stage):
            case SlicingStage() as settings:
                start = {**context.start, "tem_loss": "context-aware"}
                moves = [{**start, "K1_positions": float(k1)} for k1 in settings.K1_positions]
                explorer = ConfigurationExplorer(moves, start, replicates=settings.replicates)
                return GridProgram(explorer, start, seeds=settings.seeds)
            case CompareStage() as settings:
                entries: dict[str, Parameters] = {
                    loss: {**context.start, "tem_loss": loss} for loss in settings.tem_losses
                }
                return ListedProgram(entries, seeds=settings.runs, first_replicate=FIRST_COMPARISON_REPLICATE)
        return super().program(context)

    def _trial(
        self,
        study: BmnStudy,
        parameters: Parameters,
        shape: DataShape,
        *,
        seed: int = 0,
        data_seed: int = 0,
    ) -> BoundaryTrialConfig:
        """Make the settings of a trial with ``parameters``; the study file gives the other settings."""
        tried = Hyperparameters.model_validate({**study.hyperparameters.model_dump(), **parameters})
        return BoundaryTrialConfig(
            network=BmnConfig(input_size=shape.dims, **study.network.model_dump()),
            loss=BoundaryLossConfig(
                tem_loss=tried.tem_loss,
                k1_positions=tried.K1_positions,
                tem_weight=tried.lambda_tem,
                regression_weight=study.losses.regression_weight,
                tau_max=tried.tau_max,
                tau_min=tried.tau_min,
                published_draw=study.losses.published_draw,
            ),
            seed=seed,
            data_seed=data_seed,
            learning_rate=tried.learning_rate,
            rate_drop=study.training.rate_drop,
            rate_drop_epochs=study.training.rate_drop_epochs,
            weight_decay=study.training.weight_decay,
        )


def _reference(built: BuiltSplit) -> SplitRef:
    items = len(open_video_split(built.path).videos)
    return SplitRef(path=str(built.path), items=items, left_out=built.left_out)


TASK = BmnTask()

"""Action spotting in broadcasts with the network and the losses of the paper."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from hpo.config.stages import FinalStage, SearchStage
from hpo.programs.program import Program
from hpo.space.space import Parameters
from hpo.tasks.base.networks import NetworkDifference
from hpo.tasks.base.presentation.stage_presentation import StagePresentation
from hpo.tasks.base.score import Score
from hpo.tasks.base.splits import DataRequest, OpenedData, Progress, SplitRef
from hpo.tasks.base.task import StageContext, Task, TrialTime
from hpo.tasks.calf.data import chosen_features, describe, open_games, open_reference, reference
from hpo.tasks.calf.resampling import compare_on_games
from hpo.tasks.calf.settings import GamesShape, check_space, training_config, trial_config
from hpo.tasks.calf.speed import measured_time
from hpo.tasks.calf.stages import GridStage
from hpo.tasks.calf.study_file import CalfStudy
from hpo.tasks.calf.zones import zone_parameters
from model.data.store import Store
from model.errors import ConfigError
from model.inference.evaluation import find_spots
from model.metrics.average_map import average_map
from model.networks.calf import CalfNetwork
from model.precision import Precision
from model.timeline import FrameRate
from model.training.config import TrainingConfig, TrialConfig
from model.training.slot import Slot
from model.training.throughput import faster_precision, fastest_array
from model.training.trainer import TrainingArray
from model.weights.trained import TrainedNetwork


class CalfTask(Task[CalfStudy, GamesShape, Store, Slot]):
    """Games, chunks, the context-aware network; Average-mAP."""

    name = "calf"
    unit = "games"
    score = Score("average_map", "Average-mAP")
    study_file = CalfStudy
    data_shape = GamesShape
    takes_uri = True
    analyses = True
    configuration_note = "K and r are in frames."
    finders = ("bayes", "grid-slicing")
    procedure = ("bayes", "grid-slicing", "final")

    def open_data(self, request: DataRequest, study: CalfStudy, progress: Progress) -> OpenedData[GamesShape]:
        """Read both splits; see ``Task``."""
        description = describe(request.place, request.cache)
        features = chosen_features(description, request.features)
        train, valid = self._open_splits(request, features, progress)
        if train.dims != valid.dims:
            raise ConfigError(f"features have {train.dims} dimensions in train and {valid.dims} in valid")
        shape = self.shape(train)
        check_space(study, shape)
        return OpenedData(
            dataset=f"{description.name}/{features}",
            features=features,
            shape=shape,
            train=reference(train, request.place, features),
            valid=reference(valid, request.place, features),
            digest=f"{train.digest}+{valid.digest}",
        )

    def _open_splits(self, request: DataRequest, features: str, progress: Progress) -> tuple[Store, Store]:
        stores = []
        for index, split in enumerate(("train", "valid")):
            store = open_games(
                request.place, features=features, split=split, cache=request.cache, progress=progress
            )
            stores.append(store.first_games(request.counts[index]) if request.counts else store)
        train, valid = stores
        return train, valid

    def open_split(self, split: SplitRef) -> Store:
        """Map its store; a machine that does not see it fetches a copy."""
        return open_reference(split)

    def shape(self, split: Store) -> GamesShape:
        """Dimensions, classes, frame rate."""
        return GamesShape(dims=split.dims, classes=split.classes, frame_rate=split.frame_rate)

    def shape_from_json(self, record: dict[str, Any]) -> GamesShape:
        """Read what ``shape_to_json`` wrote."""
        return GamesShape(
            dims=record["dims"],
            classes=tuple(record["classes"]),
            frame_rate=FrameRate(record["frame_rate"]),
        )

    def shape_to_json(self, shape: GamesShape) -> dict[str, Any]:
        """The frame rate as a number."""
        return {
            "dims": shape.dims,
            "classes": list(shape.classes),
            "frame_rate": shape.frame_rate.per_second,
        }

    def describe_split(self, split: Store) -> str:
        """Frames, and actions by class."""
        actions = ", ".join(
            f"{int((split.actions[:, 2] == index).sum()):,} {label}"
            for index, label in enumerate(split.classes)
        )
        frames = sum(half.frames for half in split.halves)
        per_second = f"{split.frame_rate.per_second:g} a second"
        return f"{frames:,} frames ({per_second}) of {split.dims} values, actions: {actions}"

    def describe_training(self, study: CalfStudy, shape: GamesShape) -> str:
        """Epochs, sampler and learning rates."""
        training = study.training
        return (
            f"{training.epochs} epochs, {training.sampler} sampler, validated every "
            f"{training.validated_every}, learning rate {training.learning_rate:g} to "
            f"{training.final_learning_rate:g}"
        )

    def own_configuration(self, study: CalfStudy, shape: GamesShape) -> Parameters:
        """The study file's hyperparameters and zones; with ``calf`` those of the paper."""
        configuration: Parameters = study.hyperparameters.model_dump()
        zones = self._own_trial(study, shape).loss.zones.per_class
        for name, row in zip(shape.classes, zones, strict=True):
            configuration |= zone_parameters(name, row)
        return configuration

    def check_parameters(self, study: CalfStudy, parameters: Parameters, shape: GamesShape) -> None:
        """Make the trial's settings, without its network."""
        trial_config(study, parameters, shape, seed=0)

    def slot(
        self, study: CalfStudy, parameters: Parameters, shape: GamesShape, *, seed: int, data_seed: int
    ) -> Slot:
        """A network with weights drawn from ``seed``."""
        return Slot(trial_config(study, parameters, shape, seed=seed, data_seed=data_seed))

    def shared(self, study: CalfStudy, shape: GamesShape, precision: Precision) -> TrainingConfig:
        """Sampler, epochs, precision, suppression."""
        return training_config(study, shape, precision=precision)

    def array(
        self,
        shared: Any,
        *,
        train: Store,
        valid: Store,
        device: torch.device,
        on_shrink: Callable[[int], None],
    ) -> TrainingArray:
        """Trials trained as one network."""
        return TrainingArray(shared, train=train, valid=valid, device=device, on_shrink=on_shrink)

    def save_network(self, slot: Slot, shape: GamesShape, file: Path, notes: Mapping[str, Any]) -> None:
        """A ``TrainedNetwork``, which ``hpo spot`` and others take."""
        trained = TrainedNetwork(
            network=slot.network,
            classes=shape.classes,
            frame_rate=shape.frame_rate,
            zones=slot.config.loss.zones,
        )
        trained.save(file, **notes)

    def open_test(self, request: DataRequest, progress: Progress) -> Store:
        """The test split of the dataset, whole."""
        assert request.features is not None, "the study has chosen them"
        return open_games(
            request.place, features=request.features, split="test", cache=request.cache, progress=progress
        )

    def test(
        self, network: Path, untrained: Slot, test: Store, shared: Any, device: torch.device
    ) -> dict[str, float]:
        """Average-mAP and AP of each class, with the network that a trial saved."""
        trained = TrainedNetwork.load(network)
        spots = find_spots(trained.network.to(device), test, precision=shared.precision, device=device)
        score = average_map(
            spots,
            test.actions,
            classes=len(test.classes),
            frame_rate=test.frame_rate,
            nms_window_s=shared.nms_window_s,
        )
        per_class = {f"ap/{name}": value for name, value in zip(test.classes, score.per_class, strict=True)}
        return {"average_map": score.average_map, **per_class}

    def compare_networks(
        self,
        networks: tuple[Path, Path],
        split: Store,
        shared: Any,
        device: torch.device,
        progress: Progress,
    ) -> NetworkDifference:
        """Spot every game with both networks, and draw the games anew."""
        return compare_on_games(networks, split, shared, device, progress)

    def presentation(self, stage: str) -> StagePresentation:
        """Add the zones of a grid, the sweeps, and the paper's numbers."""
        from hpo.tasks.calf.presentation.by_stage import PRESENTATIONS  # a trial draws nothing

        return PRESENTATIONS.get(stage, StagePresentation())

    def precision(self, study: CalfStudy, shape: GamesShape, train: Store, device: torch.device) -> Precision:
        """As the study file says; ``auto`` is measured."""
        if study.training.precision != "auto":
            return study.training.precision
        training = training_config(study, shape, precision="float32")
        return faster_precision(self._own_trial(study, shape), training, train, device)

    def array_size(
        self,
        study: CalfStudy,
        shape: GamesShape,
        train: Store,
        precision: Precision,
        device: torch.device,
        most: int,
    ) -> int:
        """As many as go fastest."""
        training = training_config(study, shape, precision=precision)
        return fastest_array(self._own_trial(study, shape), training, train, device, most=most)

    def trial_time(
        self,
        study: CalfStudy,
        shape: GamesShape,
        splits: tuple[Store, Store],
        precision: Precision,
        device: torch.device,
        array: int,
    ) -> TrialTime:
        """With the paper's hyperparameters as the typical trial."""
        training = training_config(study, shape, precision=precision)
        return measured_time(self._own_trial(study, shape), training, splits, device, array)

    def weights(self, study: CalfStudy, shape: GamesShape) -> int:
        """Of the paper's network."""
        network = CalfNetwork(self._own_trial(study, shape).network, torch.Generator())
        return sum(weight.numel() for weight in network.parameters())

    def varied(self, study: CalfStudy, stage: str, shape: GamesShape) -> dict[str, Any]:
        """A grid varies the slicing parameters of every class."""
        match study.stages.named(stage):
            case GridStage() as settings:
                symbols = [f"K{number}_frames.{label}" for label in shape.classes for number in (1, 2, 3, 4)]
                return {symbol: {"grid": settings.mode} for symbol in symbols}
        return super().varied(study, stage, shape)

    def program(self, context: StageContext[CalfStudy, GamesShape]) -> Program:
        """Searches and finals as for any task, and the stages of section 4.1 and 7.5."""
        settings = context.study.stages.named(context.stage)
        if isinstance(settings, SearchStage | FinalStage):
            return super().program(context)
        from hpo.tasks.calf.programs import program_of

        return program_of(settings, context)

    def _own_trial(self, study: CalfStudy, shape: GamesShape) -> TrialConfig:
        return trial_config(study, {}, shape, seed=0)


TASK = CalfTask()

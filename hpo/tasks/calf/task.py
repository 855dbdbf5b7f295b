"""Task ``calf``: action spotting in broadcasts with the network and the losses of the paper."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hpo.config.stages import FinalStage, SearchStage
from hpo.programs.program import Program
from hpo.space.space import Parameters
from hpo.tasks.base.networks import NetworkDifference
from hpo.tasks.base.places import is_uri
from hpo.tasks.base.score import Score
from hpo.tasks.base.serving import Signature
from hpo.tasks.base.splits import DataRequest, OpenedData, Progress, SplitRef
from hpo.tasks.base.task import LARGEST_ARRAY, StageContext, Task, TrialTime
from hpo.tasks.calf.data import (
    chosen_features,
    describe,
    open_games,
    open_reference,
    reference,
    require_actions,
    require_distinct,
    require_same_dims,
)
from hpo.tasks.calf.description import PRESENT, CalfDescription
from hpo.tasks.calf.fixed_lines import fixed_lines
from hpo.tasks.calf.prediction import spots_of_half
from hpo.tasks.calf.resampling import compare_on_games
from hpo.tasks.calf.settings import check_space, in_own_unit, training_config, trial_config
from hpo.tasks.calf.shape import GamesShape
from hpo.tasks.calf.speed import measure_trial_time
from hpo.tasks.calf.stages import GridStage
from hpo.tasks.calf.study_file import CalfStudy
from hpo.tasks.calf.zones import inherited_zones, zone_notices, zone_parameters
from model.data.checks.survey import absent_class_notices
from model.data.layout.description import BUILTIN_NAMES
from model.data.stores.store import Store
from model.inference.evaluation import find_spots
from model.metrics.average_map import average_map
from model.networks.calf import CalfNetwork
from model.precision import Precision, processor_precision
from model.shell import shell_line
from model.training.config import TrainingConfig, TrialConfig
from model.training.slot import Slot
from model.training.throughput import faster_precision, fastest_array
from model.training.trainer import TrainingArray
from model.weights.trained import TrainedNetwork
from model.wording import counted

if TYPE_CHECKING:
    import pandas as pd


class CalfTask(CalfDescription, Task[CalfStudy, GamesShape, Store, Slot]):
    """Action spotting on games with the context-aware network, scored by Average-mAP."""

    def open_data(self, request: DataRequest, study: CalfStudy, progress: Progress) -> OpenedData[GamesShape]:
        """Copy both splits into the cache and check the search space on them."""
        description = describe(request.place, request.cache, request.labels)
        chosen = replace(request, features=chosen_features(description, request.features))
        train, valid = self._open_splits(chosen, progress)
        shape = self.shape(train)
        check_space(study, shape)
        notices = (*train.notices, *valid.notices, *zone_notices(study, shape.classes))
        if description.labels_version is None and description.name not in (*BUILTIN_NAMES, "synthetic"):
            notices += inherited_zones(study, shape.classes)
        absent = absent_class_notices({split.split: split.action_counts for split in (train, valid)})
        return OpenedData(
            dataset=f"{description.name}/{chosen.features}",
            features=chosen.features or "",
            shape=shape,
            train=reference(train, chosen),
            valid=reference(valid, chosen),
            digest=f"{train.digest}+{valid.digest}",
            notices=tuple(dict.fromkeys((*notices, *absent))),
        )

    def _open_splits(self, request: DataRequest, progress: Progress) -> tuple[Store, Store]:
        stores = []
        for split, count in zip(("train", "valid"), request.counts or (None, None), strict=True):
            stores.append(open_games(request, split, count=count, progress=progress))
            require_actions(stores[-1])
        train, valid = stores
        require_distinct(train, valid, request.place)
        require_same_dims(train, valid)
        return train, valid

    def use_of_network(self, network: Path, place: str, valid: SplitRef) -> list[str]:
        """Return the command that spots the actions of the first validation game; none for data at a URI."""
        if is_uri(place):
            return []
        game = Path(place) / self.open_split(valid).games[0]
        return [shell_line("hpo", "spot", "--weights", network, "--game", game)]

    def open_split(self, split: SplitRef) -> Store:
        """Open the store of a split; a machine without access to it fetches a copy."""
        return open_reference(split)

    def shape(self, split: Store) -> GamesShape:
        """Return feature dimensions, classes and frame rate of a split."""
        return GamesShape(
            dims=split.dims,
            classes=split.classes,
            frame_rate=split.frame_rate,
            stem=split.stem,
            labels=split.labels,
            label_texts=split.label_texts,
            digest=split.digest,
            recipe=split.recipe,
        )

    def describe_split(self, split: Store) -> str:
        """Describe the frames and the number of actions by class."""
        actions = ", ".join(
            f"{int((split.actions[:, 2] == index).sum()):,} {label}"
            for index, label in enumerate(split.classes)
        )
        frames = sum(half.frames for half in split.halves)
        per_second = f"{split.frame_rate.per_second:g} per second"
        return f"{frames:,} frames ({per_second}) of {split.dims} values, actions: {actions}"

    def describe_training(self, study: CalfStudy, shape: GamesShape) -> str:
        """Describe epochs, sampler and learning rates."""
        training = study.training
        return (
            f"{counted(training.epochs, 'epoch')}, {training.sampler} sampler, validation every "
            f"{counted(training.validated_every, 'epoch')}, learning rate {training.learning_rate:g} to "
            f"{training.final_learning_rate:g}"
        )

    def describe_fixed(self, study: CalfStudy, shape: GamesShape) -> list[str]:
        """Describe chunk, margin and zones in seconds, and where the zones come from."""
        return fixed_lines(study, shape.classes, shape.frame_rate)

    def own_configuration(self, study: CalfStudy, shape: GamesShape) -> Parameters:
        """Return the hyperparameters and zones of the study file; in ``calf.toml`` they are the paper's."""
        configuration: Parameters = study.hyperparameters.model_dump()
        zones = self._own_trial(study, shape).loss.zones.per_class
        for name, row in zip(shape.classes, zones, strict=True):
            configuration |= zone_parameters(name, row)
        return configuration

    def in_own_units(self, study: CalfStudy, given: Mapping[str, Any], shape: GamesShape) -> dict[str, Any]:
        """Convert r into the unit of the study file, from seconds (``r_s``) or frames (``r``)."""
        return in_own_unit(study, given, shape)

    def check_parameters(self, study: CalfStudy, parameters: Parameters, shape: GamesShape) -> None:
        """Check a configuration by making a trial's settings, without its network."""
        trial_config(study, parameters, shape, seed=0)

    def slot(
        self, study: CalfStudy, parameters: Parameters, shape: GamesShape, *, seed: int, data_seed: int
    ) -> Slot:
        """Create a trial whose network has weights drawn from ``seed``."""
        return Slot(trial_config(study, parameters, shape, seed=seed, data_seed=data_seed))

    def shared(self, study: CalfStudy, shape: GamesShape, precision: Precision) -> TrainingConfig:
        """Return sampler, epochs, precision and non-maximum suppression."""
        return training_config(study, shape, precision=precision)

    def array(
        self,
        shared: Any,
        *,
        train: Store,
        valid: Store,
        device: torch.device,
        on_note: Callable[[str], None],
    ) -> TrainingArray:
        """Trials trained as one network."""
        return TrainingArray(shared, train=train, valid=valid, device=device, on_note=on_note)

    def save_network(
        self, slot: Slot, shape: GamesShape, shared: Any, file: Path, notes: Mapping[str, Any]
    ) -> None:
        """Write a ``TrainedNetwork``, which ``hpo spot`` and other commands read."""
        trained = TrainedNetwork(
            network=slot.network,
            classes=shape.classes,
            frame_rate=shape.frame_rate,
            zones=slot.config.loss.zones,
            tolerances_s=shared.tolerances_s,
            nms_window_s=shared.nms_window_s,
            stem=shape.stem,
            labels=shape.labels,
            label_texts=shape.label_texts,
            train_digest=shape.digest,
            recipe=shape.recipe,
        )
        trained.save(file, **notes)

    def load_network(self, file: Path) -> TrainedNetwork:
        """Return the ``TrainedNetwork`` in a file."""
        return TrainedNetwork.load(file)

    def open_test(self, request: DataRequest, progress: Progress) -> Store:
        """Open the whole test split of the data set, which must fit the other splits and share no game."""
        test = open_games(request, "test", progress=progress)
        require_actions(test)
        train, valid = self._open_splits(request, progress)
        for known in (train, valid):
            require_distinct(known, test, request.place)
        require_same_dims(train, test)
        return test

    def test_items(self, test: Store) -> int:
        """Return the number of games."""
        return len(test.games)

    def test(
        self, network: Path, untrained: Slot, test: Store, shared: Any, device: torch.device
    ) -> dict[str, float]:
        """Return Average-mAP and the AP of each class that has actions in the test split."""
        trained = TrainedNetwork.load(network)
        spots = find_spots(trained.network.to(device), test, precision=shared.precision, device=device)
        score = average_map(
            spots,
            test.actions,
            classes=len(test.classes),
            frame_rate=test.frame_rate,
            nms_window_s=shared.nms_window_s,
            tolerances_s=shared.tolerances_s,
        )
        return score.by_name(test.classes)

    def compare_networks(
        self,
        networks: tuple[Path, Path],
        split: Store,
        shared: Any,
        score: Score,
        device: torch.device,
        progress: Progress,
    ) -> NetworkDifference:
        """Compare two networks by bootstrap over the games of a split."""
        only_present = score.metric == PRESENT
        return compare_on_games(networks, split, shared, device, progress, only_present=only_present)

    def precision(self, study: CalfStudy, shape: GamesShape, train: Store, device: torch.device) -> Precision:
        """Return the precision of the study file; for ``auto``, a GPU measures which one is fastest."""
        if study.training.precision != "auto":
            return study.training.precision
        if device.type == "cpu":
            return processor_precision()
        training = training_config(study, shape, precision="float32")
        trial = self._own_trial(study, shape)
        array = fastest_array(trial, training, train, device, most=LARGEST_ARRAY)
        return faster_precision(trial, training, train, device, array=array)

    def array_size(
        self,
        study: CalfStudy,
        shape: GamesShape,
        train: Store,
        precision: Precision,
        device: torch.device,
        most: int,
    ) -> int:
        """Measure which number of trials in one process is fastest."""
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
        """Estimate the duration of a trial, using the study file's own hyperparameters."""
        training = training_config(study, shape, precision=precision)
        return measure_trial_time(self._own_trial(study, shape), training, splits, device, array)

    def weight_count(self, study: CalfStudy, shape: GamesShape) -> int:
        """Return the number of weights of the network with the study file's own hyperparameters."""
        network = CalfNetwork(self._own_trial(study, shape).network, torch.Generator())
        return sum(weight.numel() for weight in network.parameters())

    def signature(self, shape: GamesShape) -> Signature:
        """Return the features of one half as input, and its spots as output."""
        return Signature(
            dims=shape.dims, columns={"time_s": "double", "label": "string", "confidence": "double"}
        )

    def predict(self, network: TrainedNetwork, features: Any) -> "pd.DataFrame":
        """Return the spots of one half, the most confident first, as ``hpo spot`` finds them.

        Args:
            network: The network.
            features: Features of the half (frames, dimensions), at the frame rate of the training data.

        Returns:
            Columns ``time_s`` (seconds since the start of the half), ``label`` and ``confidence``.
        """
        return spots_of_half(network, features)

    def varied(self, study: CalfStudy, stage: str, shape: GamesShape) -> dict[str, Any]:
        """Return the hyperparameters that a stage varies: for a grid, the slicing parameters."""
        match study.stages.named(stage):
            case GridStage() as settings:
                symbols = [f"K{number}_frames.{label}" for label in shape.classes for number in (1, 2, 3, 4)]
                return {symbol: {"grid": settings.mode} for symbol in symbols}
        return super().varied(study, stage, shape)

    def program(self, context: StageContext[CalfStudy, GamesShape]) -> Program:
        """Build the program of a stage: search, final, or a stage of sections 4.1 and 7.5."""
        settings = context.study.stages.named(context.stage)
        if isinstance(settings, SearchStage | FinalStage):
            return super().program(context)
        from hpo.tasks.calf.programs import program_of

        return program_of(settings, context)

    def _own_trial(self, study: CalfStudy, shape: GamesShape) -> TrialConfig:
        return trial_config(study, {}, shape, seed=0)


TASK = CalfTask()

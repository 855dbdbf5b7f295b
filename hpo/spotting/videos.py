"""Features of new videos for a trained network, extracted by the recipe of its training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from model.data.single_game import GameFolder
from model.errors import ConfigError
from model.features.extraction import Note, Progress, recipe_of
from model.features.games import GameVideo
from model.features.networks import FeatureNetwork, is_own_file, load_network
from model.features.part import PartFile, extract_part
from model.features.pca import Pca
from model.recipe import Recipe
from model.weights.trained import TrainedNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeFiles:
    """Files that the recipe of a trained network names by their digest."""

    model: Path | None
    """Weights of the network that extracts features, or its own file. None: timm's own weights."""
    pca: Path | None
    """Principal components. None: the recipe has none."""


def extract_for(
    trained: TrainedNetwork,
    games: Sequence[GameVideo],
    to: Path,
    files: RecipeFiles,
    *,
    device: torch.device,
    note: Note,
    progress: Progress,
) -> list[GameFolder]:
    """Extract the features of ``games``; return the folders of the games in ``to``.

    They belong to no data set, also where ``to`` lies in the folder of one.

    Raises:
        ConfigError: The network was trained on features without a recipe, or the files are others than those
            of its recipe.
        DataError: A video cannot be used.
    """
    recipe, stem = _recipe_of(trained)
    if recipe.pca and files.pca is None:
        raise ConfigError(
            f"the network was trained on features shortened by the PCA {recipe.pca[:12]}...",
            fix=f"add --pca FILE: {stem}.npz in the data folder of the training",
        )
    pca = Pca.load(files.pca) if files.pca is not None else None
    network = _network_of(recipe, files.model, device)
    trained.check_recipe(recipe_of(network, recipe.frame_rate, pca))
    for game in games:
        _extract(trained, game, to, network, pca, device=device, note=note, progress=progress)
    parts: dict[str, list[int]] = {}
    for game in games:
        parts.setdefault(game.game, []).append(game.part)
    return [
        GameFolder(path=to / name, name=name, parts=tuple(own), frame_rate=trained.frame_rate)
        for name, own in parts.items()
    ]


def _recipe_of(trained: TrainedNetwork) -> tuple[Recipe, str]:
    """Return recipe and stem of the features of the training.

    Raises:
        ConfigError: They are not known.
    """
    if trained.recipe is None or trained.stem is None:
        raise ConfigError(
            "the file of the network does not say how its features were extracted from videos",
            fix="extract the features as those of the training were, and give --game FOLDER",
        )
    return trained.recipe, trained.stem


def _network_of(recipe: Recipe, file: Path | None, device: torch.device) -> FeatureNetwork:
    if not is_own_file(recipe.model):
        return load_network(recipe.model, file, device)
    if file is None:
        raise ConfigError(
            f"the features of the training were extracted by the network in the file {recipe.model}",
            fix="add --model-weights FILE with this file",
        )
    # Its content decides, wherever it lies.
    return replace(load_network(str(file), None, device), name=recipe.model)


def _extract(
    trained: TrainedNetwork,
    game: GameVideo,
    to: Path,
    network: FeatureNetwork,
    pca: Pca | None,
    *,
    device: torch.device,
    note: Note,
    progress: Progress,
) -> None:
    recipe, stem = _recipe_of(trained)
    extract_part(
        game.video,
        PartFile(folder=to / game.game, number=game.part, stem=stem),
        network,
        recipe,
        pca=pca,
        device=device,
        note=lambda gap: note(game.video, gap),
        progress=lambda done, total: progress(f"{game.game} {game.part}", done, total),
    )

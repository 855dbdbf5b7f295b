"""Features of all videos of a data folder."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from model.data.layout.description_text import add_table, changing
from model.data.layout.game_files import feature_parts, features_file
from model.data.layout.split_lists import list_games, list_of_split
from model.errors import DataError, Problem
from model.features.decoding import Gap, Video
from model.features.games import GameVideo, declare_features, stem_of
from model.features.networks import FeatureNetwork
from model.features.part import PartFile, extract_part, shorten_part
from model.features.pca import Pca, fit_pca
from model.recipe import Recipe

Progress = Callable[[str, int, int], None]
Note = Callable[[Path, Gap], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartJob:
    """Extraction of the features of one video."""

    name: str
    """Game and number of the part."""
    video: Path
    target: PartFile
    recipe: Recipe
    pca: Pca | None
    """Principal components of the recipe."""


Extract = Callable[[Sequence[PartJob]], int]
"""Extracts the features of videos and returns how many frames were computed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """Features to extract into a data folder."""

    root: Path
    """The data folder."""
    network: FeatureNetwork
    """The network, on any device."""
    per_second: float
    """Features per second of video."""
    name: str | None = None
    """Stem of the files. None: from the name of the network."""
    dims: int | None = None
    """Length of the feature vectors after PCA. None: as the network gives them."""
    pca: Pca | None = None
    """Principal components to use. None: those in the folder, else fitted on its training split."""

    @property
    def recipe(self) -> Recipe:
        """Recipe of the features before PCA."""
        return recipe_of(self.network, self.per_second)

    @property
    def stem(self) -> str:
        """Stem of the features before PCA."""
        return self.name or stem_of(self.network.name)

    @property
    def short_stem(self) -> str:
        """Stem of the features after PCA."""
        return f"{self.stem}_PCA{self.dims}"

    @property
    def pca_file(self) -> Path:
        """File of the principal components in the data folder."""
        return self.root / f"{self.short_stem}.npz"


def recipe_of(network: FeatureNetwork, per_second: float, pca: Pca | None = None) -> Recipe:
    """Return the recipe of features of ``network``."""
    return Recipe(
        model=network.name,
        weights=network.weights,
        preprocessing=network.preprocessing,
        frame_rate=per_second,
        pca="" if pca is None else pca.digest,
    )


def extract_games(wanted: Extraction, games: Sequence[GameVideo], extract: Extract) -> tuple[str, int]:
    """Extract the features of ``games``; return the stem of the features and how many frames were computed.

    Files that are complete are kept, so that the same command continues after a stop.

    Args:
        wanted: The features.
        games: Videos of the games.
        extract: Extracts the features of videos, such as ``ExtractionHere``.

    Raises:
        DataError: Videos cannot be used (all that cannot be opened are listed before anything is written), or
            the folder has other features of this name.
    """
    pca = _known_pca(wanted)
    if wanted.dims is not None and pca is None:
        _check_training(wanted, games)
    _check_videos(wanted, games)
    wanted.root.mkdir(parents=True, exist_ok=True)
    with changing(wanted.root):
        list_games(wanted.root, [(game.game, game.split) for game in games])
    if wanted.dims is None:
        return wanted.stem, _extract_whole(wanted, games, extract)
    computed = 0
    if pca is None:
        computed = _extract_whole(wanted, games, extract)
        pca = _fitted_pca(wanted, wanted.dims)
    _declare_shortened(wanted, pca)
    with_whole = [game for game in games if _part(wanted, game, wanted.stem).path.is_file()]
    _shorten(wanted, with_whole, pca)
    others = [game for game in games if game not in with_whole]
    return wanted.short_stem, computed + _extract_shortened(wanted, others, pca, extract)


def _check_training(wanted: Extraction, games: Sequence[GameVideo]) -> None:
    """Check that a game of the training split has features already, or gets them now.

    Raises:
        DataError: None does.
    """
    listed = list_of_split(wanted.root, "train").games
    if not any(game.split == "train" or game.game in listed for game in games):
        _training_files(wanted)


def _check_videos(wanted: Extraction, games: Sequence[GameVideo]) -> None:
    """Open the videos of all features that are not finished.

    Raises:
        DataError: Some cannot be opened; all are listed.
    """
    stems = {wanted.stem} if wanted.dims is None else {wanted.stem, wanted.short_stem}
    pending = [
        game.video for game in games if not any(_part(wanted, game, stem).path.is_file() for stem in stems)
    ]
    with ThreadPoolExecutor() as pool:  # FFmpeg reads the index of each file
        faults = list(pool.map(_fault, pending))
    errors = [(video, error) for video, error in zip(pending, faults, strict=True) if error]
    if len(errors) == 1:
        raise errors[0][1]
    if errors:
        raise DataError(
            f"{len(errors)} videos cannot be used",
            [Problem(str(video), "", error.message) for video, error in errors],
            fix="give whole video files, or leave these games out",
        )


def _fault(video: Path) -> DataError | None:
    try:
        with Video(video):
            return None
    except DataError as error:
        return error


def _extract_whole(wanted: Extraction, games: Sequence[GameVideo], extract: Extract) -> int:
    """Extract the features before PCA; return how many frames were computed.

    They are declared only if they are what is wanted: games that are added later get the shorter ones alone.
    """
    with changing(wanted.root):
        if wanted.dims is None:
            declare_features(wanted.root, wanted.stem, wanted.recipe)
        else:
            add_table(wanted.root, {})  # creates the file, by which nodes of a cluster know the folder
    return extract([_job(wanted, game, wanted.stem, wanted.recipe) for game in games])


def _fitted_pca(wanted: Extraction, dims: int) -> Pca:
    """Fit principal components to the training split, and keep them in the data folder."""
    pca = fit_pca(_training_files(wanted), dims)
    pca.save(wanted.pca_file)
    return pca


def _declare_shortened(wanted: Extraction, pca: Pca) -> None:
    """Declare the features after PCA, and keep principal components that were given."""
    with changing(wanted.root):
        declare_features(wanted.root, wanted.short_stem, _short_recipe(wanted, pca))
    if not wanted.pca_file.is_file():
        pca.save(wanted.pca_file)


def _shorten(wanted: Extraction, games: Sequence[GameVideo], pca: Pca) -> None:
    """Shorten the features of games that have those before PCA."""
    for game in games:
        whole, target = (_part(wanted, game, stem) for stem in (wanted.stem, wanted.short_stem))
        shorten_part(game.video, whole, target, wanted.recipe, pca)


def _extract_shortened(wanted: Extraction, games: Sequence[GameVideo], pca: Pca, extract: Extract) -> int:
    """Extract the features after PCA straight from the videos; return how many frames were computed."""
    recipe = _short_recipe(wanted, pca)
    return extract([_job(wanted, game, wanted.short_stem, recipe, pca) for game in games])


def _short_recipe(wanted: Extraction, pca: Pca) -> Recipe:
    return replace(wanted.recipe, pca=pca.digest)


@dataclass(frozen=True, slots=True)
class ExtractionHere:
    """Extracts the features of videos one after the other, on a device of this machine."""

    network: FeatureNetwork
    device: torch.device
    note: Note
    """Called with every gap of a video."""
    progress: Progress
    """Called with the name of a part, its frames done and its frames expected (0: unknown)."""

    def __call__(self, jobs: Sequence[PartJob]) -> int:
        """Extract the features of ``jobs``; return how many frames were computed.

        Raises:
            DataError: A video cannot be read, or a file has features of another video or recipe.
        """
        return sum(map(self._extract, jobs))

    def _extract(self, job: PartJob) -> int:
        return extract_part(
            job.video,
            job.target,
            self.network,
            job.recipe,
            pca=job.pca,
            device=self.device,
            note=lambda gap: self.note(job.video, gap),
            progress=lambda done, total: self.progress(job.name, done, total),
        )


def _known_pca(wanted: Extraction) -> Pca | None:
    """Return the principal components that are given or in the folder.

    Raises:
        DataError: Both exist and differ, or they have another length than wanted.
    """
    kept = Pca.load(wanted.pca_file) if wanted.dims is not None and wanted.pca_file.is_file() else None
    given = wanted.pca
    if given is not None and kept is not None and given.digest != kept.digest:
        raise DataError(
            f"the folder has other principal components ({kept.digest[:12]}...) than the given ones "
            f"({given.digest[:12]}...)",
            file=wanted.pca_file,
            fix="leave --pca out, or choose another --to FOLDER",
        )
    known = given or kept
    if known is not None and len(known.components) != wanted.dims:
        raise DataError(
            f"expected dims = {len(known.components)}, which the principal components give, got "
            f"dims = {wanted.dims}",
            file=wanted.pca_file,
            fix=f"choose dims = {len(known.components)}, or other components",
        )
    return known


def _job(wanted: Extraction, game: GameVideo, stem: str, recipe: Recipe, pca: Pca | None = None) -> PartJob:
    return PartJob(
        name=f"{game.game} {game.part}",
        video=game.video,
        target=_part(wanted, game, stem),
        recipe=recipe,
        pca=pca,
    )


def _part(wanted: Extraction, game: GameVideo, stem: str) -> PartFile:
    return PartFile(folder=wanted.root / game.game, number=game.part, stem=stem)


def _training_files(wanted: Extraction) -> list[Path]:
    """Return the feature files of the games in the list of the training split.

    Raises:
        DataError: There is no such list, or no game in it has these features.
    """
    listed = list_of_split(wanted.root, "train")
    found = [
        features_file(wanted.root, game, half=part, stem=wanted.stem)
        for game in listed.games
        for part in feature_parts(wanted.root / game, wanted.stem)
    ]
    if not found:
        raise DataError(
            "principal components are fitted on the training split, but no game in it has features "
            f"{wanted.stem}",
            file=listed.file,
            fix="name the split of each game in the table of --games, or give --pca FILE",
        )
    return found

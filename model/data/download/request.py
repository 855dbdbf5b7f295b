"""Download request: which files to download, with the dimensions of their features."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.data.layout.description import (
    DESCRIPTION_FILE,
    LABELS,
    SPLITS,
    DatasetDescription,
    builtin_description,
    read_description,
)
from model.data.layout.game_files import HALVES, feature_name
from model.errors import ConfigError

PUBLISHED: Mapping[str, int | None] = {
    "ResNET_PCA512": 512,
    "C3D_PCA512": 512,
    "I3D_PCA512": 512,
    "ResNET_TF2_PCA512": 512,
    "ResNET_5fps_TF2_PCA512": 512,
    "ResNET": None,
    "C3D": None,
    "I3D": None,
    "ResNET_TF2": 2048,
    "ResNET_5fps_TF2": 2048,
    "ResNET_25fps_TF2": 2048,
    "baidu_soccer_embeddings": 8576,
}
"""Stem of the feature files that the SoccerNet package offers -> length of a feature vector; None if the
package's documentation does not state it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadRequest:
    """Files to download for every game, and their expected content."""

    root: Path
    description: DatasetDescription
    stem: str
    """Stem of the feature files."""
    dims: int | None
    """Expected length of a feature vector; None: any."""

    @property
    def label_files(self) -> tuple[str, ...]:
        """Names of the label files of a game."""
        return (self.description.labels_file,)

    @property
    def feature_files(self) -> tuple[str, ...]:
        """Names of the feature files of a game."""
        return tuple(feature_name(half, self.stem) for half in HALVES)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of all files of a game."""
        return self.label_files + self.feature_files


def make_request(root: Path, *, features: str, labels: str, splits: Iterable[str]) -> DownloadRequest:
    """Build the request for a download into ``root``; an existing ``dataset.toml`` is kept.

    Raises:
        ConfigError: Features, labels or splits are unknown, or differ from the existing ``dataset.toml``.
        DataError: The existing ``dataset.toml`` is invalid.
    """
    if labels not in LABELS:
        raise ConfigError(f"expected --labels {' or '.join(LABELS)}, got {labels!r}")
    unknown = [split for split in splits if split not in SPLITS]
    if unknown:
        raise ConfigError(f"unknown split {','.join(unknown)!r} (expected --splits from {','.join(SPLITS)})")
    asked = builtin_description(LABELS[labels])
    described = (root / DESCRIPTION_FILE).is_file()
    description = read_description(root) if described else asked
    stem = description.feature_stem(features)
    if stem not in PUBLISHED:
        raise ConfigError(f"unknown SoccerNet features {features!r}", known=_known_features(asked))
    if described:
        _expect_same_reading(root / DESCRIPTION_FILE, description, asked, stem)
    else:
        description = asked
    return DownloadRequest(root=root, description=description, stem=stem, dims=PUBLISHED[stem])


def _known_features(description: DatasetDescription) -> str:
    aliases = {stem: alias for alias, stem in description.features.items()}
    return ", ".join(f"{aliases[stem]} ({stem})" if stem in aliases else stem for stem in PUBLISHED)


def _expect_same_reading(file: Path, there: DatasetDescription, asked: DatasetDescription, stem: str) -> None:
    differences = [
        f"{key} {here!r} instead of {wanted!r}"
        for key, here, wanted in (
            ("labels_file", there.labels_file, asked.labels_file),
            ("frame rate", there.rate_of(stem).per_second, asked.rate_of(stem).per_second),
        )
        if here != wanted
    ]
    if differences:
        raise ConfigError(
            f"the {DESCRIPTION_FILE} in this folder describes other data: {', '.join(differences)}",
            file=file,
            fix="download into another folder, or delete this file",
        )

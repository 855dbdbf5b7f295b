"""References to splits of the data, which trials open themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from hpo.config.environment import cache_folder
from model.wording import counted

Progress = Callable[[str, int, int], None]
"""Progress callback (what is being read, number of items or files done, total number)."""

ShapeT = TypeVar("ShapeT", bound="DataShape")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataShape:
    """Properties of the data that the settings of a trial depend on. A task may add properties."""

    dims: int
    """Length of a feature vector."""
    classes: tuple[str, ...] = ()
    """Classes with a metric ``ap/NAME`` each; a class without actions in a split has none there."""


def counted_items(number: int, plural: str) -> str:
    """Return a number of items such as ``1 game``; ``plural`` is ``games``, or ``validation games``."""
    return counted(number, plural.removesuffix("s"), plural)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSplit:
    """Source from which every machine can fetch a split."""

    uri: str
    """URI of the data set."""
    features: str
    """Name of the features."""
    split: str
    """Name of the split."""
    labels: str | None = None
    """Version of the labels, as in ``DataRequest``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRef:
    """Reference to a split in the cache, or to its first items."""

    path: str
    """Folder in the cache of the driver's machine; the name of the folder identifies its content."""
    items: int
    """Number of items to use, such as games or videos."""
    left_out: int = 0
    """Number of items that were left out because files of theirs are missing."""
    remote: RemoteSplit | None = None
    """Source for machines without access to ``path``; None if there is none."""

    @property
    def folder(self) -> Path:
        """Folder of the split; where the cache has moved, that of the same name in this machine's cache."""
        path = Path(self.path)
        return path if path.exists() else cache_folder() / path.name

    def size(self, unit: str) -> str:
        """Say how many items are used and left out, such as ``8 videos (1 left out: no feature file)``."""
        left_out = f" ({self.left_out:,} left out: no feature file)" if self.left_out else ""
        return f"{counted_items(self.items, unit)}{left_out}"

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Build a reference from the output of ``asdict``; older records have ``games`` and no ``remote``."""
        remote = record.get("remote")
        items = record["items"] if "items" in record else record["games"]
        return cls(
            path=record["path"],
            items=items,
            left_out=record.get("left_out", 0),
            remote=RemoteSplit(**remote) if remote else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRequest:
    """Data that a user has selected."""

    place: str
    """Folder or URI of the data."""
    features: str | None
    """Name of the features; None if the data has only one kind."""
    counts: tuple[int, int] | None
    """Number of training and validation items to use, from the first one; None: all."""
    cache: Path
    """Folder of memory-mapped data sets."""
    labels: str | None = None
    """Version of the labels, for data that have several; None: what the data say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedData(Generic[ShapeT]):
    """Data in the cache, ready for training."""

    dataset: str
    """Readable name of data and features, such as ``soccernet-v1/resnet``."""
    features: str
    """Name of the features."""
    shape: ShapeT
    """Properties that the settings of trials depend on."""
    train: SplitRef
    """Training split."""
    valid: SplitRef
    """Validation split."""
    digest: str
    """Hash of all content that scores depend on."""
    notices: tuple[str, ...] = ()
    """Notices for a user who trains on these data."""

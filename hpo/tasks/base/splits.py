"""A split of the data as a trial is told of it: where it lies, never what is in it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

Progress = Callable[[str, int, int], None]
"""Called with (what is being read, items or files done, all of them)."""

ShapeT = TypeVar("ShapeT", bound="DataShape")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataShape:
    """What the settings of a trial depend on in the data; a task may add to it."""

    dims: int
    """Numbers in a feature vector."""
    classes: tuple[str, ...] = ()
    """Those that are scored one by one, under ``ap/NAME``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSplit:
    """Where every machine can fetch a split."""

    uri: str
    features: str
    split: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRef:
    """A split in the cache, or its first items."""

    path: str
    """Its folder in the cache of the driver's machine; the name of that folder tells what it holds."""
    items: int
    """Games, videos or whatever the task calls them."""
    remote: RemoteSplit | None = None
    """Where a machine that does not see ``path`` gets it from; None: nowhere."""

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Read what ``asdict`` made of it; older ones have ``games`` and say nothing of ``remote``."""
        remote = record.get("remote")
        items = record["items"] if "items" in record else record["games"]
        return cls(path=record["path"], items=items, remote=RemoteSplit(**remote) if remote else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRequest:
    """Which data a person asked for."""

    place: str
    """A folder, or a URI."""
    features: str | None
    """None: the only ones there are."""
    counts: tuple[int, int] | None
    """First items of the training and validation splits to use; None: all."""
    cache: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedData(Generic[ShapeT]):
    """Data that are in the cache, ready to be trained on."""

    dataset: str
    """Name of data and features for people, such as ``soccernet-v1/resnet``."""
    features: str
    shape: ShapeT
    train: SplitRef
    valid: SplitRef
    digest: str
    """Of all content that a score depends on."""

"""What a trial is told: paths and settings as plain JSON, never arrays."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from hpo.config.environment import cache_folder
from hpo.space.space import Parameters
from model.data.remote import open_remote_split
from model.data.store import Store, open_store
from model.errors import DataError
from model.precision import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSplit:
    """Where every machine can fetch a split."""

    uri: str
    features: str
    split: str

    def open(self, name: str) -> Store:
        """Map the split from this machine's own cache, where its store is called ``name``.

        Raises:
            UserError: It cannot be fetched, or is another one there by now.
        """
        cache = cache_folder()
        if (cache / name / "meta.json").is_file():
            return open_store(cache / name)
        store = open_remote_split(self.uri, features=self.features, split=self.split, cache=cache)
        if store.path.name != name:
            raise DataError(f"the {self.split} split at {self.uri} changed since the study began")
        return store


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRef:
    """A split in the cache, or its first games."""

    path: str
    """Its store in the cache of the driver's machine; the name of that folder tells what it holds."""
    games: int
    remote: RemoteSplit | None = None
    """Where a machine that does not see ``path`` gets it from; None: nowhere."""

    def open(self) -> Store:
        """Map the split.

        Raises:
            UserError: It is not to be had here.
        """
        path = Path(self.path)
        if self.remote is None or (path / "meta.json").is_file():
            return open_store(path).first_games(self.games)
        return self.remote.open(path.name).first_games(self.games)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Read what ``asdict`` made of it; older ones say nothing of ``remote``."""
        remote = record.get("remote")
        return cls(**{**record, "remote": RemoteSplit(**remote) if remote else None})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTask:
    """One trial to train, possibly from where it stopped."""

    trial: str
    parameters: Parameters
    seed: int
    """Draws the trial's initial weights."""
    data_seed: int
    """Draws the chunks of all trials of the study."""
    study: dict[str, Any]
    """The study file."""
    train: SplitRef
    valid: SplitRef
    precision: Precision
    device: str
    folder: str
    """The trial's own folder, on storage that outlives the process."""
    reported_epoch: int = 0
    """Validations up to this epoch are known to the study already."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        splits = {name: SplitRef.from_json(record[name]) for name in ("train", "valid")}
        return cls(**{**record, **splits})

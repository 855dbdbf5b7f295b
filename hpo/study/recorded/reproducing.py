"""Repeated training of a recorded trial, from its MLflow record alone."""

import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hpo.config.differences import leaves
from hpo.config.environment import Environment
from hpo.report.reproduction import Change, Reproduction, ValidationPair
from hpo.space.space import Parameters
from hpo.study.configurations.configuration import configuration_of_run
from hpo.study.devices import available_cpus, choose_device
from hpo.study.folders import found_place, study_folder
from hpo.study.plan import StudyPlan, chunk_seed, reopen_data
from hpo.tasks.base.places import is_uri
from hpo.tasks.base.splits import Progress
from hpo.tasks.base.versions import SHOWN_DIGITS, code_digest
from hpo.tracking.names import name_in_older_records
from hpo.tracking.runs import RecordedTrial
from hpo.trial.array import TrialArray
from hpo.trial.files import CONFIG
from hpo.trial.specification import TrialSpec
from model.errors import StorageError, UserError
from model.training.outcomes import FailedError

_DECISIVE_PACKAGES = ("torch", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """A recorded trial that is ready to be trained again."""

    recorded: RecordedTrial
    plan: StudyPlan
    """Plan with the settings of the stage, on the present data and device."""
    threads: int
    changes: tuple[Change, ...]
    """Changes since the recording that are known before training."""

    @property
    def name(self) -> str:
        """Name of study and trial."""
        return f"{self.recorded.tags['hpo.study']}/{self.recorded.tags['hpo.trial']}"

    @property
    def other_data(self) -> bool:
        """Whether the data have changed, so that the result cannot be a reproduction."""
        return any(change.what == "data" for change in self.changes)


def prepare_rerun(
    recorded: RecordedTrial,
    environment: Environment,
    progress: Progress,
    *,
    data: Path | None = None,
    device: str | None = None,
) -> Rerun:
    """Open the data and list what has changed.

    Args:
        recorded: The recorded trial.
        environment: Names the folder of the cache.
        progress: Reports progress while data are read.
        data: Folder of the data. None: the recorded folder.
        device: Device to train on. None: the recorded device.

    Raises:
        UserError: The data cannot be found or read, or the device is not available.
    """
    before = StudyPlan.from_json(recorded.plan, file=f"study.json of run {recorded.run}")
    stage = recorded.tags["hpo.stage"]
    planned = before.with_stage(stage, recorded.settings) if recorded.settings else before
    study = study_folder(environment, recorded.tags["hpo.study"])
    root = found_place(before.data, study) if data is None else str(data.absolute())
    if not is_uri(root) and not Path(root).is_dir():
        raise UserError(
            f"the data of this trial were not found: {root} is not a folder",
            fix="add --data FOLDER with the folder that contains them",
        )
    plan = reopen_data(replace(planned, data=root), environment, progress)
    plan = replace(plan, device=choose_device(device or before.device))
    threads = int(_known_threads(recorded) or available_cpus())
    changes = tuple(_changes(recorded, plan, threads))
    return Rerun(recorded=recorded, plan=plan, threads=threads, changes=changes)


def train_again(rerun: Rerun, environment: Environment, progress: Progress) -> Reproduction:
    """Train in this process up to the last recorded validation, and compare all metrics with the record.

    Raises:
        UserError: The recorded parameters cannot be used, or the disk is full.
    """
    recorded, failure = rerun.recorded, None
    environment.runs.mkdir(parents=True, exist_ok=True)
    repeated: dict[int, Mapping[str, float]] = {}
    with TemporaryDirectory(prefix="reproduction-", dir=environment.runs) as folder:
        try:
            for epoch, metrics in _validations(rerun, folder, progress):
                repeated[epoch] = metrics
        except FailedError as error:
            failure = f"the repeated training failed: {error}"
        file = Path(folder) / CONFIG
        # A training that fails at its very beginning writes none.
        config = json.loads(file.read_text()) if file.is_file() else recorded.config
    metric, beside = rerun.plan.score.metric, rerun.plan.score.beside
    # Older records lack the mean over other classes, which follows from the AP of each class.
    derived = beside.metric if beside else None
    missing = [epoch for epoch in recorded.validations if epoch not in repeated]
    if missing and failure is None:
        failure = f"the repeated training has no validation after epoch {', '.join(map(str, missing))}"
    return Reproduction(
        study=recorded.tags["hpo.study"],
        trial=recorded.tags["hpo.trial"],
        run=recorded.run,
        score=rerun.plan.score.label,
        validations=[
            ValidationPair(
                epoch=epoch,
                recorded=metrics,
                repeated={
                    name: value
                    for name, value in repeated[epoch].items()
                    if name in metrics or name != derived
                },
                metric=metric,
            )
            for epoch, metrics in recorded.validations.items()
            if epoch in repeated
        ],
        changes=[*rerun.changes, *_config_changes(recorded.config, config)],
        other_data=rerun.other_data,
        failure=failure,
    )


def _validations(rerun: Rerun, folder: str, progress: Progress) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Train, and yield every epoch's metrics under their recorded names."""
    array, spec = TrialArray(threads=rerun.threads), _spec(rerun, folder).to_json()
    last, epoch = max(rerun.recorded.validations), 0
    progress(f"training {rerun.name}", epoch, last)
    while epoch < last:
        result = array.step(spec, epoch)
        if "unwritable" in result:
            raise StorageError(result["unwritable"])
        if "failed" in result:
            raise FailedError(result["failed"])
        epoch = result["epoch"]
        progress(f"training {rerun.name}", epoch, last)
        recorded = rerun.recorded.validations.get(epoch, {})
        yield epoch, {_recorded_name(name, recorded): value for name, value in result["metrics"]}
        if result["finished"]:
            return


def _recorded_name(name: str, recorded: Mapping[str, float]) -> str:
    older = name_in_older_records(name)
    return older if name not in recorded and older in recorded else name


def _spec(rerun: Rerun, folder: str) -> TrialSpec:
    plan, seed = rerun.plan, int(rerun.recorded.parameters["seed"])
    return TrialSpec(
        trial=rerun.recorded.tags["hpo.trial"],
        parameters=_configuration(rerun),
        seed=seed,
        data_seed=chunk_seed(seed),
        study=plan.study.model_dump(mode="json"),
        train=plan.train,
        valid=plan.valid,
        precision=plan.precision,
        device=plan.device,
        folder=folder,
    )


def _configuration(rerun: Rerun) -> Parameters:
    return configuration_of_run(rerun.recorded.run, rerun.recorded.parameters, rerun.plan)


def _changes(recorded: RecordedTrial, plan: StudyPlan, threads: int) -> Iterator[Change]:
    tags = recorded.tags
    versions = dict(
        entry.rpartition(" ")[::2] for entry in tags.get("hpo.versions", "").split(", ") if " " in entry
    )
    facts = {
        "data": (tags.get("hpo.data_digest", ""), plan.data_digest),
        "code": (tags.get("hpo.code_digest", ""), code_digest(plan.study.task)),
        **{name: (versions.get(name, ""), metadata.version(name)) for name in _DECISIVE_PACKAGES},
        "device": (tags.get("hpo.device", ""), plan.device),
        "threads": (_known_threads(recorded), str(threads)),
        "machine": (tags.get("hpo.host", ""), socket.gethostname()),
    }
    for what, (then, now) in facts.items():
        if then != now:
            yield Change(what=what, recorded=_short(then), now=_short(now))


def _known_threads(recorded: RecordedTrial) -> str:
    """Return the recorded number of threads; empty for older records, which lack it."""
    return recorded.tags.get("hpo.threads", "").removeprefix("0")


def _short(fact: str) -> str:
    """Shorten digests, of which two splits have two, joined by a plus."""
    parts = [part if len(part) < 3 * SHOWN_DIGITS else part[:SHOWN_DIGITS] for part in fact.split("+")]
    return "+".join(parts) or "not recorded"


def _config_changes(recorded: Mapping[str, Any], repeated: Mapping[str, Any]) -> list[Change]:
    """Return the settings of the model that differ from the recorded ones, by path in ``config.json``."""
    then, now = ({name: json.dumps(entry) for name, entry in leaves(each)} for each in (recorded, repeated))
    return [
        Change(what=f"setting {name}", recorded=then.get(name, "none"), now=now.get(name, "none"))
        for name in dict.fromkeys([*then, *now])
        if recorded and then.get(name) != now.get(name)
    ]

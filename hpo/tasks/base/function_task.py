"""Tasks made of one function of the user, ``(parameters, seed, report) -> score``."""

import hashlib
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import create_model, model_validator

from hpo.config.sections import NumberOrText, Section
from hpo.config.stages import SEARCH, FinalStage, SearchStage, Stages
from hpo.config.study_file import StudyFile, validate_study
from hpo.space.space import Parameters
from hpo.tasks.base.function_run import (
    FunctionArray,
    FunctionConfig,
    FunctionRun,
    ObjectiveFunction,
    checked_score,
)
from hpo.tasks.base.score import Score
from hpo.tasks.base.splits import DataRequest, DataShape, OpenedData, Progress, SplitRef
from hpo.tasks.base.task import Task
from model.documents import is_number
from model.errors import ConfigError, DataError

if TYPE_CHECKING:
    import torch

TestFunction = Callable[[dict[str, Any], int, Any], float]
"""Function ``(parameters, seed, state) -> score`` that evaluates a trained model on the test split."""
_TRIALS = 20
"""Default number of configurations that a search tries."""


class FunctionTask(Task[StudyFile, DataShape, None, FunctionRun]):
    """Task whose trials are calls of one function, which opens its data itself."""

    unit = "runs"
    reads_data = False

    def __init__(self, function: ObjectiveFunction, files: Sequence[Path], test: TestFunction | None) -> None:
        self._function, self._files, self._test = function, files, test

    def open_data(self, request: DataRequest, study: StudyFile, progress: Progress) -> OpenedData[DataShape]:
        """Return an empty description of the data, with the digest of the files that the function reads."""
        split = SplitRef(path=request.place, items=1)
        return OpenedData(
            dataset=self.name,
            features="function",
            shape=DataShape(dims=0),
            train=split,
            valid=split,
            digest=_digest(self._files),
        )

    def open_split(self, split: SplitRef) -> None:
        """Return nothing: the function opens its data."""

    def open_test(self, request: DataRequest, progress: Progress) -> None:
        """Return nothing: the function for the test split opens it."""

    def shape(self, split: None) -> DataShape:
        """Return an empty shape."""
        return DataShape(dims=0)

    def slot(
        self, study: StudyFile, parameters: Parameters, shape: DataShape, *, seed: int, data_seed: int
    ) -> FunctionRun:
        """Create a trial that has not started."""
        tried = {**study.hyperparameters.model_dump(), **parameters}
        config = FunctionConfig(
            parameters=tried,
            seed=seed,
            schedule=study.training.schedule,
        )
        return FunctionRun(self._function, config)

    def array(self, shared: Any, **options: Any) -> FunctionArray:
        """Create an array without slots."""
        return FunctionArray(self.score.metric)

    def data_options(self, features: str, counts: tuple[int, int]) -> list[str]:
        """Return no options: the function opens its data."""
        return []

    def describe_training(self, study: StudyFile, shape: DataShape) -> str:
        """Describe the training of a trial in one line."""
        if study.training.epochs == 1:
            return "one call of the function, without intermediate reports"
        return super().describe_training(study, shape)

    def test(
        self, network: Path, untrained: FunctionRun, test: None, shared: Any, device: "torch.device"
    ) -> dict[str, float]:
        """Call the function for the test split with what the best report of a trial kept."""
        assert self._test is not None, "without a test function there is no final"
        config, state = untrained.config, self.load_network(network)["kept"]
        score = self._test(dict(config.parameters), config.seed, state)
        return {self.score.metric: checked_score(score, function=self._test)}


def function_task(
    function: ObjectiveFunction,
    *,
    space: Mapping[str, Any],
    own: Mapping[str, Any],
    score: str = "score",
    epochs: int = 1,
    trials: int = _TRIALS,
    files: Sequence[str | Path] = (),
    test: TestFunction | None = None,
) -> FunctionTask:
    """Make a task of the function ``(parameters, seed, report) -> score``.

    Assign the result to ``TASK`` in a module on ``PYTHONPATH``; the study file then is the line
    ``task = "MODULE"``. A function with several epochs calls ``report(score, state)`` after each of them and
    starts from ``report.epoch`` and ``report.state``; see ``hpo.tasks.base.function_run.Reporter``.

    Args:
        function: Function that trains a model with ``parameters`` (name -> value) and ``seed`` and returns
            its validation score in [0, 1]; higher is better.
        space: Hyperparameters to search, by name: ``(low, high)``, ``(low, high, "log")`` for a logarithmic
            range, or ``[...]`` for choices. Two whole numbers are a range of whole numbers.
        own: Values in use today, of all hyperparameters. The search tries them first, and the final stage
            compares its result with them.
        score: Name of the score in tables.
        epochs: Default number of epochs of a trial. 1: the function runs whole.
        trials: Default number of configurations that the search tries.
        files: Files that the function reads. A study only continues while their content is the same.
        test: Function ``(parameters, seed, state) -> score`` that evaluates a trained model on the test
            split, for ``hpo run final``; ``state`` is what the trial's best report kept.

    Raises:
        ConfigError: An argument has the wrong type, a name or a range is invalid, or ``own`` has other
            hyperparameters than ``space``.
    """
    _check_types(space=space, own=own, score=score, files=files)
    _check_call(function, ("parameters", "seed", "report"))
    if test is not None:
        _check_call(test, ("parameters", "seed", "state"))
    module, folder = _module_of(function)
    defaults = {
        "training": {"epochs": epochs},
        "stages": {SEARCH: {"trials": trials, "space": _declared(space)}},
    }
    members = {
        "name": module,
        "score": Score("score", score),
        "study_file": _study_file(module, own, defaults, with_final=test is not None),
        "procedure": (SEARCH, "final") if test else (SEARCH,),
    }
    members["code_files"] = tuple({_file_of(each) for each in (function, test) if each is not None})
    named = type("NamedTask", (FunctionTask,), members)
    task: FunctionTask = named(function, [folder / file for file in files], test)
    return task


class _FunctionStages(Stages):
    """Stages of a function; the final stage is one if there is a function for the test split."""

    how_to_have: ClassVar = {
        "final": "give hpo.function_task a function test=(parameters, seed, state) -> score"
    }


class _FunctionStudy(StudyFile):
    """Study file of a function, in which all keys but ``task`` have defaults."""

    defaults: ClassVar[dict[str, Any]]
    """Tables of a study file without keys of its own."""

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, document: Any) -> Any:
        return _with_defaults(document, cls.defaults)


def _with_defaults(given: Any, defaults: Mapping[str, Any]) -> Any:
    """Return tables with the keys that they lack; a space is taken as a whole."""
    if not isinstance(given, Mapping):
        return given
    filled = {**defaults, **given}
    for key in defaults.keys() & given.keys():
        if isinstance(defaults[key], dict) and key != "space":
            filled[key] = _with_defaults(given[key], defaults[key])
    return filled


def _study_file(
    module: str, own: Mapping[str, Any], defaults: dict[str, Any], *, with_final: bool
) -> type[StudyFile]:
    """Return the model of the task's study files.

    Raises:
        ConfigError: The space or the own values are invalid.
    """
    space = defaults["stages"][SEARCH]["space"]
    if set(own) != set(space):
        raise ConfigError(
            f"own: expected a value of {', '.join(space) or 'no hyperparameter'}, "
            f"got {', '.join(own) or 'none'}"
        )
    kinds = {"int": int, "float": float, "choice": NumberOrText}
    fields: dict[str, Any] = {name: (kinds[table["type"]], own[name]) for name, table in space.items()}
    with warnings.catch_warnings():
        # Hyperparameters may have the names of methods that pydantic calls outdated, and nothing here uses.
        warnings.filterwarnings("ignore", message=r"Field name .* shadows an attribute")
        hyperparameters = create_model("Hyperparameters", __base__=Section, **fields)
    search = type("Search", (SearchStage,), {"hyperparameters": hyperparameters, "__module__": __name__})
    stages: dict[str, Any] = {SEARCH: (search, ...)}
    if with_final:
        stages["final"] = (FinalStage, FinalStage())
    study_file = create_model(
        "FunctionStudy",
        __base__=_FunctionStudy,
        hyperparameters=(hyperparameters, hyperparameters()),
        stages=(create_model("FunctionStages", __base__=_FunctionStages, **stages), ...),
    )
    study_file.defaults = defaults
    # Defaults are not validated until they are given.
    validate_study(
        study_file, {"task": module, "hyperparameters": dict(own)}, file=f"function_task of {module}"
    )
    for name, table in space.items():
        if not _is_within(own[name], table):
            values = table.get("choices") or f"{table['low']} to {table['high']}"
            raise ConfigError(
                f"own, {name}: expected a value of the space, whose first point it is, got {own[name]!r:.60}",
                space=values,
            )
    return study_file


def _is_within(value: Any, table: Mapping[str, Any]) -> bool:
    """Return whether a value of the right type lies in the table of its hyperparameter."""
    if table["type"] == "choice":
        return value in table["choices"]
    return bool(table["low"] <= value <= table["high"])


def _declared(space: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the table of a study file for a space as ``function_task`` takes it.

    Raises:
        ConfigError: A name or values cannot be used.
    """
    return {name: _declared_values(name, values) for name, values in space.items()}


def _declared_values(name: str, values: Any) -> dict[str, Any]:
    if not name.isidentifier() or name.startswith(("_", "model_")):
        raise ConfigError(f"space: expected a name such as learning_rate, got {name!r:.60}")
    if isinstance(values, list):
        return {"type": "choice", "choices": values}
    is_range = isinstance(values, tuple) and len(values) in (2, 3) and all(map(is_number, values[:2]))
    if not is_range or values[2:] not in ((), ("log",)):
        raise ConfigError(
            f'space, {name}: expected (low, high), (low, high, "log") or a list of choices, '
            f"with plain Python numbers, got {values!r:.60}"
        )
    kind = "int" if all(isinstance(value, int) for value in values[:2]) else "float"
    return {"type": kind, "low": values[0], "high": values[1], "log": bool(values[2:])}


def _check_types(*, space: Any, own: Any, score: Any, files: Any) -> None:
    """Check the types of arguments that would only fail later, some of them in a study that has ended.

    Raises:
        ConfigError: One has the wrong type.
    """
    for name, table in (("space", space), ("own", own)):
        if not isinstance(table, Mapping) or not all(isinstance(each, str) for each in table):
            raise ConfigError(
                f"{name}: expected a dictionary with the names of hyperparameters, got {table!r:.60}"
            )
    if not isinstance(score, str) or not score.strip() or not score.isprintable():
        raise ConfigError(f"score: expected a name for tables, such as accuracy, got {score!r:.60}")
    is_list = isinstance(files, Sequence) and not isinstance(files, str)
    if not is_list or not all(isinstance(file, str | Path) for file in files):
        raise ConfigError(f"files: expected a list of paths, got {files!r:.60}")


def _check_call(function: Callable[..., Any], names: Sequence[str]) -> None:
    """Check that this is a function of a module that takes as many arguments as it is called with.

    Raises:
        ConfigError: It is no function, or it takes others.
    """
    expected = f"expected a function ({', '.join(names)}) -> score, defined with def in a module"
    if not inspect.isroutine(function):
        raise ConfigError(f"{expected}, got {function!r:.80}")
    try:
        inspect.signature(function).bind(*names)
    except (TypeError, ValueError):
        found = f"{function.__name__}({', '.join(inspect.signature(function).parameters)})"
        raise ConfigError(f"{expected}, got {found:.80}") from None


def _module_of(function: Callable[..., Any]) -> tuple[str, Path]:
    """Return the name of the module of a function, under which processes import it, and its folder."""
    file, module = _file_of(function), function.__module__
    return (file.stem if module == "__main__" else module), file.parent


def _file_of(function: Callable[..., Any]) -> Path:
    # A decorator, such as torch.no_grad(), is written in a file of its own.
    return Path(inspect.getfile(inspect.unwrap(function))).resolve()


def _digest(files: Sequence[Path]) -> str:
    """Return the hash of the content of files.

    Raises:
        DataError: A file cannot be read.
    """
    content = hashlib.sha256()
    for file in files:
        try:
            content.update(hashlib.sha256(file.read_bytes()).digest())
        except OSError as error:
            raise DataError("cannot read a file of the task", file=file, reason=error.strerror) from None
    return content.hexdigest()

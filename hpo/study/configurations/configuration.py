"""Complete configurations: values of all hyperparameters of a trial."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpo.config.symbol_tables import symbols_in_table
from hpo.space.space import Parameters
from hpo.space.symbols import symbol, symbol_in_older_records
from hpo.study.plan import StudyPlan
from hpo.tracking.names import name_in_older_records
from model.documents import MAX_TOML_BYTES, parse_json, parse_toml, read_limited
from model.errors import ConfigError

_MAX_JSON_BYTES = 16 << 20
"""Largest JSON file that is read: the output of ``hpo best --json`` for thousands of trials."""


def read_configuration(file: Path, plan: StudyPlan) -> Parameters:
    """Read a configuration from a file, such as the output of ``hpo best --json``.

    The file is JSON or TOML with hyperparameters under their names or the paper's symbols (``r_s`` in
    seconds, ``r`` and ``K1.goal`` in frames), at the top or under ``parameters``. Of the output of ``hpo best
    --json``, the configuration that the study chose is used, else the best so far. Missing values come from
    the study file.

    Raises:
        ConfigError: The file cannot be read, or values are not allowed; the error names all of them.
    """
    try:
        content = read_limited(file, MAX_TOML_BYTES if file.suffix == ".toml" else _MAX_JSON_BYTES)
        document = parse_toml(content) if file.suffix == ".toml" else parse_json(content)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read a configuration: {error}", file=file) from None
    return configuration_from_symbols(_symbols(document, file), plan, source=str(file))


def configuration_from_symbols(symbols: Mapping[str, Any], plan: StudyPlan, *, source: str) -> Parameters:
    """Return the study file's configuration with the values in ``symbols`` (symbol or name -> value).

    Raises:
        ConfigError: A symbol is unknown, or a value is not allowed.
    """
    own = plan.own_configuration()
    known = {symbol(name): name for name in own}
    older = {name_in_older_records(symbol_in_older_records(name)): name for name in own}
    names = older | known | {name: name for name in own}
    try:
        given = plan.task.in_own_units(plan.study, symbols, plan.shape)
        unknown = [name for name in given if name not in names]
        if unknown:
            raise ConfigError(
                f"unknown hyperparameter: {', '.join(map(repr, unknown)):.200}", known=", ".join(known)
            )
        for name, value in given.items():
            # The study file's settings check the rest, and take no other type for a number.
            if "." in name and (type(value) not in (int, float) or not math.isfinite(value)):
                raise ConfigError(f"expected a number of frames as {name}, got {value!r:.60}")
        replaced = {names[name]: value for name, value in given.items()}
        if len(replaced) < len(given):
            raise ConfigError("a hyperparameter appears twice, by its name and by its symbol")
        configuration = own | replaced
        plan.task.check_parameters(plan.study, configuration, plan.shape)
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ConfigError(f"cannot use this configuration: {reasons}", file=source) from None
    except ConfigError as error:
        error.details["file"] = source
        raise
    return configuration


def configuration_of_run(run: str, recorded: Mapping[str, Any], plan: StudyPlan) -> Parameters:
    """Return the configuration among the parameters of an MLflow run, which are named by symbols.

    Raises:
        ConfigError: A value is not allowed.
    """
    # Older runs may have another unit of a hyperparameter.
    names = {*plan.own_configuration(), *type(plan.study.hyperparameters).model_fields}
    known = {symbol(name) for name in names}
    known |= {name_in_older_records(symbol_in_older_records(name)) for name in names}
    own = {name: value for name, value in recorded.items() if name in known}
    return configuration_from_symbols(own, plan, source=f"MLflow run {run}")


def _symbols(document: Any, file: Path) -> Mapping[str, Any]:
    if isinstance(document, dict) and isinstance(document.get("found"), dict) and document["found"]:
        document = document["found"]
    elif isinstance(document, dict) and isinstance(document.get("best"), list) and document["best"]:
        document = document["best"][0]
    return symbols_in_table(document, file)

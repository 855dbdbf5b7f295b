"""How a study is run again: its study file written out, and the commands."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from hpo.journal.results import StudyState
from hpo.page.facts import best_of, by_weight
from hpo.study.plan import StudyPlan
from hpo.tracking.symbols import symbol


def study_file_toml(plan: StudyPlan, state: StudyState) -> str:
    """The study file as it was run: what was typed is put in."""
    document = plan.study.model_dump(mode="json", by_alias=True)
    for name, asked in state.asked.items():
        document["stages"][name] = dict(asked.settings)
    return "\n".join(_tables(document, ())) + "\n"


def start_files(state: StudyState) -> dict[str, str]:
    """Name -> content of a file for every stage that started from a configuration of its own."""
    return {
        f"start-{name}.json": json.dumps({symbol(key): value for key, value in asked.start.items()}, indent=2)
        for name, asked in state.asked.items()
        if asked.start
    }


def commands(plan: StudyPlan, state: StudyState, *, file: str) -> list[str]:
    """What to type, with the study file saved as ``file``, and to compare with the study."""
    study, starts = state.created.study, start_files(state)
    again = f"{study}-again"
    new = ["--study-file", f"./{file}", "--data", plan.data]
    new += plan.task.data_options(plan.features, (plan.train.items, plan.valid.items))
    new += ["--seed", str(plan.seed), "--device", plan.device]
    lines: list[str] = []
    for name in state.asked:
        words = ["hpo", "run", name, "--study", again, *(new if not lines else [])]
        if f"start-{name}.json" in starts:
            words += ["--from", f"./start-{name}.json"]
        lines.append(shlex.join(words))
    best = [f"{study}/{best_of(state, stage).trial}" for stage in by_weight(state)[:1]]
    return [
        *lines,
        shlex.join(["hpo", "compare", study, again]),
        *(shlex.join(["hpo", "reproduce", name]) for name in best),
    ]


def _tables(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Lines of TOML; what is None stays out, since leaving it out means the same."""
    plain = {key: entry for key, entry in table.items() if entry is not None and not isinstance(entry, dict)}
    if path and (plain or not table):
        yield f"[{'.'.join(map(_key, path))}]"
    for key, entry in plain.items():
        # A number, a text or a list of them is written in TOML as in JSON.
        yield f"{_key(key)} = {json.dumps(entry, ensure_ascii=False)}"
    for key, entry in table.items():
        if isinstance(entry, dict):
            yield from _tables(entry, (*path, key))


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else json.dumps(name)

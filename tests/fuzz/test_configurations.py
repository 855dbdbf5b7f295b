"""The reader of ``--from FILE``: the configuration that the file says, or an error that names it."""

import tempfile
from pathlib import Path
from typing import Any

from calf_plan import calf_plan
from fuzz.broken import files, to_json, to_toml
from fuzz.cases import FUZZ, outcome
from hypothesis import given
from hypothesis import strategies as st

from hpo.study.configurations.configuration import read_configuration
from model.documents import parse_json, parse_toml
from model.errors import ConfigError, UserError

PLAN = calf_plan(classes=("goal", "card"))

symbols = st.fixed_dictionaries(
    {},
    optional={
        "f": st.integers(1, 64),
        "r": st.integers(2, 200),
        "r_s": st.floats(1, 100),
        "alpha2": st.floats(0, 50),
        "beta": st.floats(0, 5),
        "lambda_seg": st.floats(0, 15),
        "tau_max": st.floats(0.6, 1),
        "tau_min": st.floats(0, 0.4),
        "matching": st.sampled_from(("one-to-one", "none")),
        "K1.goal": st.floats(-100, -60),
        "K4.card": st.integers(60, 90),
    },
)
documents = st.one_of(
    symbols,
    st.fixed_dictionaries({"parameters": symbols}),
    st.fixed_dictionaries({"best": st.lists(st.fixed_dictionaries({"parameters": symbols}), max_size=2)}),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, bytes]:
    ending, write = draw(st.sampled_from(((".json", to_json), (".toml", to_toml))))
    return ending, draw(files(documents, write))


@FUZZ
@given(cases())
def test_configuration_is_what_the_file_says_or_an_error(case: tuple[str, bytes]) -> None:
    ending, content = case
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"mine{ending}")
        file.write_bytes(content)
        came = outcome(lambda: read_configuration(file, PLAN))
    if isinstance(came, UserError):
        assert isinstance(came, ConfigError)
        assert str(file) in str(came)
        return
    document: Any = parse_toml(content) if ending == ".toml" else parse_json(content)
    if document.get("best"):
        document = document["best"][0]
    document = document.get("parameters", document)
    own = PLAN.own_configuration()
    assert set(came) == set(own)
    changed = sum(value != own[name] for name, value in came.items())
    assert changed <= sum(len(value) if isinstance(value, dict) else 1 for value in document.values())
    for name in ("f", "alpha2", "beta", "lambda_seg", "matching"):
        assert came[name] == document.get(name, own[name])

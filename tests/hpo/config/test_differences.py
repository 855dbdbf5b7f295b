"""Comparison of a typed study file with the settings of a study."""

from typing import Any

from hpo.config.differences import differing_settings
from hpo.config.study_file import StudyFile
from hpo.tasks.base.registry import parse_study


def study(**tables: Any) -> StudyFile:
    return parse_study({"task": "calf", **tables}, file="test.toml")


def test_tables_of_stages_and_epochs_may_differ() -> None:
    assert differing_settings(study(stages={"final": {"seeds": 9}}, training={"epochs": 3}), study()) == {}


def test_a_setting_that_all_stages_share_is_named_with_both_values() -> None:
    differing = differing_settings(study(network={"chunk_s": 60.0}), study())
    assert differing == {"network.chunk_s": (60.0, 120.0)}


def test_data_settings_that_the_file_leaves_open_may_have_been_typed() -> None:
    v2 = study(data={"labels": "v2"})
    assert differing_settings(study(), v2) == {}
    assert differing_settings(study(data={"labels": "v1"}), v2) == {"data.labels": ("v1", "v2")}

"""Addresses for notifications, which hold secrets."""

import pytest

from hpo.config.differences import differing_settings
from hpo.config.notify import masked, resolved_urls
from hpo.config.study_file import StudyFile
from hpo.tasks.base.registry import load_study, parse_study
from model.errors import ConfigError

SECRET = "Pl4nted-s3cret"


def study(**notify: object) -> StudyFile:
    document = load_study("demo").model_dump(mode="json", by_alias=True)
    return parse_study({**document, "notify": notify}, file="mine.toml")


@pytest.mark.parametrize("url", [f"json://me:{SECRET}@host", [f"json://{SECRET}", "$MY_URL"]])
def test_record_of_a_study_file_holds_names_of_variables_only(url: object) -> None:
    typed = study(url=url)
    assert SECRET in str(typed.notify.urls)
    for record in (typed.model_dump_json(by_alias=True), str(typed.model_dump())):
        assert SECRET not in record
    kept = typed.model_dump(mode="json", by_alias=True)
    assert kept.get("notify") == ({"url": ["$MY_URL"]} if isinstance(url, list) else None)
    assert not differing_settings(typed, parse_study(kept, file="journal"))


@pytest.mark.parametrize("url", [3, {"a": SECRET}, [SECRET, 3]])
def test_error_about_an_address_does_not_show_it(url: object) -> None:
    with pytest.raises(ConfigError, match="expected an address, or a list of addresses") as refused:
        study(url=url)
    assert SECRET not in str(refused.value)


def test_variable_holds_one_address_or_several() -> None:
    variables = {"ONE": "json://a", "TWO": "json://b\njson://c"}
    assert resolved_urls(["$ONE", "${TWO}", "json://d"], variables) == (
        "json://a",
        "json://b",
        "json://c",
        "json://d",
    )
    with pytest.raises(ConfigError, match=r"\$NONE names an environment variable that is not set"):
        resolved_urls(["$NONE"], variables)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"slack://{SECRET}/b", "slack://***"),
        (SECRET, "***"),
        (f"{SECRET} {SECRET}://x", "***"),
        (f"json://me:{SECRET}@host?token={SECRET}", "json://***"),
    ],
)
def test_masked_address_has_its_kind_alone(url: str, shown: str) -> None:
    assert masked(url) == shown

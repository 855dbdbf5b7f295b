"""Facts on the page of a study."""

from dataclasses import replace

from calf_plan import calf_plan

from hpo.page.facts import data_facts


def test_notices_about_the_data_are_on_the_page() -> None:
    facts = data_facts(replace(calf_plan(), notices=("labels v1 are read", "no card in valid")))
    assert (facts["Note 1"], facts["Note 2"]) == ("labels v1 are read", "no card in valid")
    assert "Note 1" not in data_facts(calf_plan())

"""Facts on the page of a study."""

from dataclasses import replace

from calf_plan import calf_plan
from judged_studies import SCORES, final, final_study, played

from hpo.page.facts import data_facts, stage_facts


def test_notices_about_the_data_are_on_the_page() -> None:
    facts = data_facts(replace(calf_plan(), notices=("labels v1 are read", "no card in valid")))
    assert (facts["Note 1"], facts["Note 2"]) == ("labels v1 are read", "no card in valid")
    assert "Note 1" not in data_facts(calf_plan())


def test_reason_of_the_choice_speaks_of_seeds_only_where_there_are_several() -> None:
    several = final_study()
    facts = stage_facts(several.stages["final"], several, is_running=False)
    assert facts["Chosen"] == "found, which has the best mean over its seeds"
    single = played("final", final({role: scores[:1] for role, scores in SCORES.items()}, {}), role="found")
    facts = stage_facts(single.stages["final"], single, is_running=False)
    assert facts["Chosen"] == "found, which has the best score"

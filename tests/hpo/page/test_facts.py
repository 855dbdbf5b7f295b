"""Facts on the page of a study."""

from dataclasses import replace

from calf_plan import calf_plan
from judged_studies import SCORES, final, final_study, played

from hpo.journal.results import StudyState
from hpo.page.facts import data_facts, stage_facts, summary
from hpo.tasks.base.found import found_configuration
from hpo.tracking.notes import study_note


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


def test_ablation_has_a_best_configuration_and_chooses_none() -> None:
    def is_chosen(state: StudyState) -> bool:
        found = found_configuration(state)
        return found is not None and found.is_chosen

    compared, chosen = (played(stage, final(SCORES, {}), role="found") for stage in ("ablation", "final"))
    assert (is_chosen(compared), is_chosen(chosen)) == (False, True)
    assert "; best in stage ablation" in summary(compared, None)
    assert "; chosen in stage final" in summary(chosen, None)
    facts = stage_facts(compared.stages["ablation"], compared, is_running=False)
    assert "Chosen" not in facts and facts["Best"] == "found, which has the best mean over its seeds"
    assert "| - |" in study_note(compared, "x/y") and "| found |" in study_note(chosen, "x/y")

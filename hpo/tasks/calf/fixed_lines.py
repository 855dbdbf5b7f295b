"""Lines of a plan that show in seconds what a search does not vary."""

from collections.abc import Sequence

from hpo.tasks.calf.sections import Scoring, score_label
from hpo.tasks.calf.settings import widths_s
from hpo.tasks.calf.study_file import CalfStudy
from model.timeline import FrameRate


def fixed_lines(study: CalfStudy, classes: Sequence[str], frame_rate: FrameRate) -> list[str]:
    """Describe chunk, margin, score and the zones of every class in seconds, each with its origin."""
    network, training, default = study.network, study.training, CalfStudy.model_fields["zones_s"].default
    chunk = f"chunk {network.chunk_s:g} s ({frame_rate.to_frames(network.chunk_s)} frames at {frame_rate})"
    margin = f"margin {training.action_margin_s:g} s, {network.predictions} spots per chunk (study file)"
    lines = [f"fixed     {chunk}, {margin}", f"scored    {_scoring(study.scoring)} (study file)"]
    for name in classes:
        zones = study.zones_of(name)
        key = name if name in study.zones_s else "default"
        is_paper = zones == default.get(key)
        origin = f"zones_s.{key} of the study file{', the value of the paper for soccer' if is_paper else ''}"
        lines.append(f"zones     {name} {' '.join(f'{time:g}' for time in zones)} s ({origin})")
    return lines


def _scoring(scoring: Scoring) -> str:
    """Describe the score with its tolerances and suppression in seconds."""
    widths, window = widths_s(scoring.tolerances), scoring.nms_window_s
    suppressed = "as wide as each of them" if window == "tolerance" else f"{float(window):g} s wide"
    label = score_label(scoring.tolerances)
    return f"{label}: tolerances of {widths[0]:g} to {widths[-1]:g} s, suppression {suppressed}"

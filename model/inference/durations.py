"""Durations that spotting and highlights use unless others are given; the command line reads them at once."""

NMS_WINDOW_S = 20.0
"""Width of the suppression window of spots, in seconds, as in the re-release."""
LONGEST_S = 3600.0
"""Longest duration of a clip before its first or after its last moment, in seconds."""
BEFORE_S = 15.0
"""Duration of a clip before its first moment, in seconds (section 5)."""
AFTER_S = 20.0
"""Duration of a clip after its last moment, in seconds (section 5)."""

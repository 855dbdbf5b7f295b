"""Programs: they decide which trial a stage trains next, from the stage's trials so far."""

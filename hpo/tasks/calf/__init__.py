"""Action spotting with the context-aware loss: the paper's own task."""

"""The science: encodings, losses, networks, training, inference and metrics of context-aware action spotting."""

"""The science: encodings, losses, networks, training, inference and metrics of action spotting."""

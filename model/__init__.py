"""Science package: encodings, losses, networks, training, inference and metrics of action spotting."""

"""Training of a single trial: specification, files, Ray trainable, and arrays of trials."""

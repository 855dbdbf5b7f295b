"""Training of boundary-matching networks."""

"""Studies: planning, running, resuming, comparing and reproducing them."""

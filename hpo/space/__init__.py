"""Search spaces: parameters with bounds and scales, and their positions on the unit cube."""

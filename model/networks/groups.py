"""Groups of the convolutions of the boundary-matching network, which limit the sizes in study files."""

GROUPS = 4
"""Number of groups of the convolutions before the boundary-matching layer, as published."""

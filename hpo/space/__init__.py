"""Parameters, spaces and the unit cube."""

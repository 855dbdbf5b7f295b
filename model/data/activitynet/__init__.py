"""ActivityNet for the boundary-matching network: whole videos with a fixed number of temporal positions."""

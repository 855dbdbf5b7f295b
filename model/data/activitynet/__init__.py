"""ActivityNet as the boundary-matching network sees it: whole videos of a fixed number of positions."""

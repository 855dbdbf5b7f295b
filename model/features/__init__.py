"""Features of videos: decoding, networks, and the files that training reads."""

"""Games on disk: the SoccerNet layout, readers and generators, the mapped store and the chunk sampler."""

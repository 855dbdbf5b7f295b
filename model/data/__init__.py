"""Games on disk: the layout, its readers and generators, the mapped store and the chunk sampler."""

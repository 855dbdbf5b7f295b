"""Study files that come with the package: each TOML file is one whole study, found by its name."""

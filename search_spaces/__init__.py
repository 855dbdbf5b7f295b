"""Study files of the package. Each TOML file is a complete study, found by its name."""

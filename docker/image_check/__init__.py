"""Check of the images and of compose.yaml by running them; see ``docker/README.md``."""

"""Study files and environment variables: reading and validation."""

"""What a person writes: study files and environment variables, validated."""

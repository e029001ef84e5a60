"""Options, their sources, and frozen settings."""

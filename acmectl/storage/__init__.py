"""Everything on disk. No network."""

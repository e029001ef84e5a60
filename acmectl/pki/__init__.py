"""Keys and certificates as values."""

"""Name servers as the world sees them: questions, zones, aliases, and whether a record is there. Never writes."""

"""One order, from identifiers to a chain."""

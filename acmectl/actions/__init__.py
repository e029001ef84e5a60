"""Use cases: typed request in, typed result out. No click, no print."""

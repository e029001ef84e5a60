"""Real servers for tests, each a context manager with its configuration as data and ports of its own."""

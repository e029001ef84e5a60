"""Programs for people who work on acmectl; nothing here is installed."""

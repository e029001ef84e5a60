"""acmectl: an ACME client for system administrators (RFC 8555)."""

__version__ = "0.1.0"

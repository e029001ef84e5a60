"""RFC 8555 and its relatives: HTTP, JSON and JWS. No disk, no command line, no plugin."""

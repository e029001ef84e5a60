"""The authenticators that come with acmectl."""

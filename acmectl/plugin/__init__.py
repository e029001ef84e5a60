"""The socket for authenticators. Public, semantically versioned; see acmectl.plugin.api."""

"""Killing acmectl from outside at any of its system calls, and looking at what is left."""

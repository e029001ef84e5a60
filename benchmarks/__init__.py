"""How fast acmectl is beside certbot: ``python -m benchmarks``, or ``make bench``."""

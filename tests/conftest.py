"""What every test shares: hypothesis draws the same examples on every machine and is not timed on a slow core."""

from hypothesis import settings

settings.register_profile("qmterm", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("qmterm")

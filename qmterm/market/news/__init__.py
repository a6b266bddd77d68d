"""News and its sentiment per symbol: read for the whole market at once, weighed by age when somebody looks."""

"""A pretend exchange in its own process that speaks the vendors own protocols on loopback."""

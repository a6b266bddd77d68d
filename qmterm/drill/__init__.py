"""Seeded drills: the production order half against the simulated broker, faults and crashes included."""

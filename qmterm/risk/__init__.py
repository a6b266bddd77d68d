"""Whether and how much: sizing, limits, stops, the gate."""

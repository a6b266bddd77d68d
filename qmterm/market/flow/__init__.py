"""Options flow: what kind of print, which side, sweeps and blocks, and which contracts see more than usual."""

"""Option chains: read, priced with our own volatilities and Greeks, re-priced from the board."""

"""What comes in: Polygon REST and stream, latest-value board, chains, history."""

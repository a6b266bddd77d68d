"""The broker's side of the simulator: tastytrade's REST, its order life and its account stream, on loopback."""

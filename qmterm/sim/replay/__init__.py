"""The replay world: anybody's recorded or converted data, played through the simulator's wires."""

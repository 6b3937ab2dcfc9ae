"""Good and bad neighbours on one server, for noisy_neighbours.py."""

"""The migrations: one chain for both databases and every process."""

"""What the end-to-end tests register."""

"""The command line, built on the public client."""

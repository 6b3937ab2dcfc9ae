"""`airspace verify-isolation`: asks a running deployment for what it must refuse, and for what it must not."""

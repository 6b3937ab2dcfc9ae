"""The words of the domain and their rules. Pure: the standard library only, no I/O."""

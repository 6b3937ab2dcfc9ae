"""The audit: who changed what, and who was refused what, in a chain for each project that shows tampering."""

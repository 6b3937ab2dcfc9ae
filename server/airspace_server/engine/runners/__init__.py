"""Runners run one attempt of one task; base.py says what they promise."""

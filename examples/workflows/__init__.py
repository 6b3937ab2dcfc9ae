"""The workflows of the example team, recommendation-engine."""

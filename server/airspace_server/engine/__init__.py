"""Runs executions: a pure state machine, a leased store of its states, and workers that run tasks through a runner."""

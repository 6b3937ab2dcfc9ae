"""The Airspace server: control plane, execution engine and Flyte's wire."""

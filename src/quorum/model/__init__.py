"""Backends: one protocol for every model."""

"""Backends around a backend: a journal, a deadline, a cluster."""

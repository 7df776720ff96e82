"""Shared beginnings read once: how a causal model scores and writes fast."""

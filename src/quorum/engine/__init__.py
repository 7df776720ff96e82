"""Score and generate efficiently with causal models by computing shared prefixes once."""

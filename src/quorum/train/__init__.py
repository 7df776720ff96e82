"""Training: from rows to a model or an adapter."""

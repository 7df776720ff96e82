"""Questions in: read, examined, split."""

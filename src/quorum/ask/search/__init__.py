"""Search solved questions and background texts."""

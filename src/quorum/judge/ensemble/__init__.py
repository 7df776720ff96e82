"""Which runs vote, and with what weight."""

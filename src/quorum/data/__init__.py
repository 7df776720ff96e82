"""Read, check, repair and split question files."""

"""From replies to one answer."""

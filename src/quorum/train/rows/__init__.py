"""Parts of building and encoding training rows."""

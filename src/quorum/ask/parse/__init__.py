"""Find labels, option texts and numbers in replies."""

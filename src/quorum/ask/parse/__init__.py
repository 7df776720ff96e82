"""The words, labels and numbers that a reply may hold."""

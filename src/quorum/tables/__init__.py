"""Tables of any format, opened by their contents, with their cells as written."""

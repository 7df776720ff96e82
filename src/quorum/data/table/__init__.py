"""A question file as it was found: its cells, columns, choices and answers."""

"""Parse the cells, columns, choices and answers of a question file."""

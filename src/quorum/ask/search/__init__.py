"""What may be shown beside a question, and how it is found."""

"""What a person looks at: the runs, their scores and their answers on one page."""

"""What is learnt from: questions as rows of what is asked and what is to be answered."""

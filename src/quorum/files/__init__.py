"""What one stage hands the next, and what Kaggle takes."""

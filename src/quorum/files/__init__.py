"""Read and write the files that stages exchange and that Kaggle accepts."""

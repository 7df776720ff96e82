"""Find the experts in a mixture model and record their activations."""

"""Super experts of a mixture: profiled, pruned, trained alone."""

"""One file a kernel, pushed and read back."""

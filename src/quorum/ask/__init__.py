"""Build prompts and parse replies."""

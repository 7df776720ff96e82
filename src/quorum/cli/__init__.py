"""Define the command line: one file for each verb, with its arguments and its output."""

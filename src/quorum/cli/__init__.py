"""The command line: one file for each verb, with its arguments and what it prints."""

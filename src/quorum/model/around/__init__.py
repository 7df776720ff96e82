"""Backends around a backend: journal, deadline, isolation of failing prompts."""

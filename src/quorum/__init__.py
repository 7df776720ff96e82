"""Quorum: from a question file to a submission whose score is known before it is sent."""

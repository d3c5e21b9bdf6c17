"""Participant and group runs as lists of steps."""

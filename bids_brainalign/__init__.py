"""Align speech and language models with brain recordings of any BIDS dataset."""

__version__ = "0.1.0"

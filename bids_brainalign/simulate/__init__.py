"""BIDS datasets with a planted answer."""

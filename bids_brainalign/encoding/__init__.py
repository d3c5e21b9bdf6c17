"""Encoding models: from features to responses (pure arrays)."""

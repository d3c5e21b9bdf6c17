"""A Stimulus → LayerFeatures: speech models and low-level features."""

"""What the layers of a model tell of speech: linear probes, and likeness of representations."""

"""Speech models trained to predict brain responses: backbone, readout, losses, training."""

"""What lies in ``bids_dir``: recordings, stimuli, presentations, annotations."""

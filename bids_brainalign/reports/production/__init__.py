"""Speech production on the pages: what words predict of the recordings of who speaks them."""

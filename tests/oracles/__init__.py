"""Published computations, written down again and independently of the package."""

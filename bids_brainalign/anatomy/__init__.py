"""Where electrodes lie."""

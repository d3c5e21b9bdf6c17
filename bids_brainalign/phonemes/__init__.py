"""What is known of phones: their classes."""

"""Tables across participants."""

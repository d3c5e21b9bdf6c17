"""The five ways to know which sound a recording heard, one module each."""

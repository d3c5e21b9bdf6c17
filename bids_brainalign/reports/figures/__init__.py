"""One function, one figure: tables and arrays in, a matplotlib Figure out."""

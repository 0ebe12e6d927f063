"""What NumPy cannot do in one pass, in C: optional, and the same to the last bit."""

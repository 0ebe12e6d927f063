"""JSON Schemas from strangers: what they say of lists of numbers, and what they may cost."""

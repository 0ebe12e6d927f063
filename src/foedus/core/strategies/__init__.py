"""Rules that make a new model of a round's updates, one idea a file. Their common shape is in ``strategy.py``."""

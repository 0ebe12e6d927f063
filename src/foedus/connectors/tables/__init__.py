"""Files of rows, turned into statistics where they lie."""

"""Other servers like this one, reached by address."""

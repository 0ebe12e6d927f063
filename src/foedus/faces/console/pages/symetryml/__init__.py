"""Where projects keep statistics."""

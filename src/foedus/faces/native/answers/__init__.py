"""What is answered, in the words of the wire."""

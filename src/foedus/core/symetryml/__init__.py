"""What the SymetryML dialect computes over its messages: signatures, dates, digests."""

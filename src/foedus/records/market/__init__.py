"""Tables of the market: assets and their documents, what they are found by, and services that were bought."""

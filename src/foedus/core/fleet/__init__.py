"""What a fleet of phones trains, how, and what it says about it: pure functions, for server and simulated phones."""

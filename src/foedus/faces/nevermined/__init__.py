"""The dialect of the Nevermined data market: its metadata API, and the words its clients use."""

"""The market: who sells and buys the right to compute next to data, and what that right allows.

Needs the extra ``foedus[market]``: keys, hashes and encodings are those of Ethereum, from its own libraries.
"""

"""Privacy of contributions: what many have together is told, and not what each of them has.

Pure, and of no particular engine: ``secure_sum`` adds whole numbers modulo 2**64, ``fixed_point`` makes them of real
ones.
"""

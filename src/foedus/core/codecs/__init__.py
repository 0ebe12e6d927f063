"""Forms in which tensors travel. A codec is a module with ``encode`` and ``decode``; none runs or unpickles anything.

Whatever bytes come in, ``decode`` gives arrays or raises Invalid.
"""

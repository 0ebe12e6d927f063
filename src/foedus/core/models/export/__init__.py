"""Models for other programs: ONNX, PMML, and source in Java or SQL.

Linear, discriminant, Bayes and logistic models are all scores that are at most quadratic in the inputs (``scores.py``);
each format writes that one form. Anything else is refused by name.
"""

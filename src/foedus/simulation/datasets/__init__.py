"""Real data that travels inside the package, so that the demo needs no network."""

from foedus.simulation.datasets.digits import CLASSES, PIXELS, Digits, load_digits

__all__ = ["CLASSES", "PIXELS", "Digits", "load_digits"]

"""The two pieces of Java that decide which images a phone mirrors: the hash of a text, and its random numbers."""

MASK_32 = (1 << 32) - 1
MASK_48 = (1 << 48) - 1
MULTIPLIER = 0x5DEECE66D
INCREMENT = 0xB


def to_int(value: int) -> int:
    """The number as a Java int: its lowest 32 bits, the topmost of which counts negative."""
    return ((value + (1 << 31)) & MASK_32) - (1 << 31)


def string_hash(text: str) -> int:
    """``String.hashCode``: h = 31 * h + unit over the UTF-16 units of the text, as a Java int."""
    units = memoryview(text.encode("utf-16-le", errors="surrogatepass"))
    value = 0
    for i in range(0, len(units), 2):
        value = (31 * value + units[i] + (units[i + 1] << 8)) & MASK_32
    return to_int(value)


class Random:
    """``java.util.Random``: 48 bits, s <- s * 0x5DEECE66D + 0xB; answers are its topmost bits. Seeds are of 64 bits."""

    def __init__(self, seed: int) -> None:
        self._state = (seed ^ MULTIPLIER) & MASK_48

    def next_boolean(self) -> bool:
        return self._next(1) != 0

    def next_int(self) -> int:
        """Any Java int."""
        return to_int(self._next(32))

    def next_below(self, bound: int) -> int:
        """``nextInt(bound)``: 0 to ``bound`` - 1, each as likely."""
        if not 0 < bound < 1 << 31:
            raise ValueError(f"a bound is 1 to {(1 << 31) - 1}, not {bound}")
        if bound & (bound - 1) == 0:
            return (bound * self._next(31)) >> 31
        while True:
            bits = self._next(31)
            value = bits % bound
            if bits - value + bound - 1 < 1 << 31:  # else in the last, incomplete stretch: drawn again
                return value

    def _next(self, bits: int) -> int:
        self._state = (self._state * MULTIPLIER + INCREMENT) & MASK_48
        return self._state >> (48 - bits)

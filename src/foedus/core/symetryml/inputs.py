"""The inputs of a model as a frame has them."""

from collections.abc import Mapping

import numpy as np

from foedus.core.symetryml.frames import Floats, Frame, Letter, numbers


def inputs_of(frame: Frame, inputs: tuple[str, ...], encoded: Mapping[str, Floats]) -> dict[str, Floats]:
    """The inputs that are in the frame; of a category, whether each row has the input's level. Raises Invalid.

    ``encoded``: numbers that an encoder made of text attributes.
    """
    found: dict[str, Floats] = {}
    for name, letter, cells in zip(frame.names, frame.letters, frame.cells, strict=True):
        levels = [each for each in inputs if each.startswith(f"{name}$")]
        if name in inputs and name in encoded:
            found[name] = encoded[name]
        elif name in inputs and letter in (Letter.CONTINUOUS, Letter.BINARY):
            found[name], _ = numbers(name, cells, binary=False, truths=letter is Letter.BINARY)
        elif levels and letter in (Letter.CATEGORY, Letter.STRING):
            texts = [None if cell is None else str(cell).strip().lower() for cell in cells]
            for each in levels:
                level = each.removeprefix(f"{name}$")
                found[each] = np.array([np.nan if not text else float(text == level) for text in texts])
    return found

"""What the server tells the console: faces do not read settings by themselves."""


class Options:
    """Which faces are on."""

    def __init__(self) -> None:
        self.faces: frozenset[str] = frozenset()

    def configure(self, faces: tuple[str, ...]) -> None:
        self.faces = frozenset(faces)


OPTIONS = Options()

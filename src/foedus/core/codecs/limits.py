"""How much of an unknown file is believed before it is refused."""

from dataclasses import dataclass

from foedus.core.errors import TooLarge

SINGLE = "weights"  # the name of a tensor whose form has no place for names


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds for one decoded file. ``max_bytes`` counts the whole file, header included."""

    max_header_bytes: int = 16 << 20
    max_tensors: int = 10_000
    max_bytes: int = 4 << 30
    max_json_depth: int = 40

    def check_bytes(self, size_bytes: int) -> None:
        if size_bytes > self.max_bytes:
            raise TooLarge("the file is larger than allowed", size_bytes=size_bytes, max_bytes=self.max_bytes)

    def check_header(self, header_bytes: int) -> None:
        if header_bytes > self.max_header_bytes:
            raise TooLarge(
                "the file's header is larger than allowed",
                header_bytes=header_bytes,
                max_header_bytes=self.max_header_bytes,
            )

    def check_tensors(self, count: int) -> None:
        if count > self.max_tensors:
            raise TooLarge("the file holds more tensors than allowed", tensors=count, max_tensors=self.max_tensors)


DEFAULT = Limits()
ON_DISK = Limits(max_bytes=1 << 62)  # of a file that is read in blocks: whoever let it in has counted its bytes

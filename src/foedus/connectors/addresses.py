"""Reading the addresses of connectors, such as ``s3://bucket/prefix?region=eu-west-1``.

Addresses may hold passwords: no error of this module shows more of one than its scheme and the names of its options.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from foedus.core.errors import Invalid


class BadAddress(Invalid):
    """The address of a connector is wrong."""


class DriverMissing(Invalid):
    """The driver of this connector is not installed."""


def split_address(url: str, options: Collection[str] = ()) -> tuple[SplitResult, dict[str, str]]:
    """The parts of ``url`` and its query parameters, each of which must be one of ``options`` and appear once."""
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        _ = parts.port  # looks at the number only now
    except ValueError as exc:
        raise BadAddress(scheme=url.partition(":")[0][:20], reason="not a URL") from exc
    if parts.fragment:
        raise BadAddress("An address has no part after '#'; write %23 for the character.", scheme=parts.scheme)
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in options:
            raise BadAddress("Unknown option in an address.", scheme=parts.scheme, option=name, known=sorted(options))
        if name in given:
            raise BadAddress("An option appears twice in an address.", scheme=parts.scheme, option=name)
        given[name] = value
    return parts, given


def only_scheme(url: str, scheme: str) -> None:
    """Check that ``url`` is ``scheme:`` and nothing more."""
    parts, _ = split_address(url)
    if parts.scheme != scheme or parts.netloc or parts.path:
        raise BadAddress(f"This address is just '{scheme}:'.", scheme=parts.scheme)


def folder_of(url: str, default: Path) -> Path:
    """The folder that ``file:`` (``default``) or ``file:/some/folder`` names."""
    parts, _ = split_address(url)
    if parts.netloc:
        raise BadAddress("A folder on another host cannot be used; write file:/absolute/path.", scheme=parts.scheme)
    if not parts.path:
        return default
    path = Path(unquote(parts.path))
    if not path.is_absolute():
        raise BadAddress("The path has to be absolute, as in file:/srv/foedus.", scheme=parts.scheme, path=str(path))
    return path


def flag(options: dict[str, str], name: str) -> bool:
    """Whether the option is switched on: ``true``; absent or ``false`` is off."""
    value = options.get(name, "false")
    if value not in {"true", "false"}:
        raise BadAddress("This option is either true or false.", option=name)
    return value == "true"


@contextmanager
def driver_of(extra: str) -> Iterator[None]:
    """Around the import of a driver that comes with an extra of this package."""
    try:
        yield
    except ImportError as exc:
        raise DriverMissing(f"A driver is missing; install it with: pip install 'foedus[{extra}]'") from exc

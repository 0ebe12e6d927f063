"""Names of AWS regions, as they are written in two ways."""

import re

from foedus.core.errors import Invalid

_REGION = re.compile(r"[a-z]{2,3}(-[a-z]{2,12}){1,3}-\d{1,2}")


def region_of(text: str) -> str:
    """``us-east-1`` for itself and for ``US_EAST_1``. Raises Invalid."""
    region = text.strip().lower().replace("_", "-")
    if not _REGION.fullmatch(region):
        raise Invalid("aws_region is a region of AWS, such as us-east-1 or US_EAST_1")
    return region

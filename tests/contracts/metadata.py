"""The contract of metadata connectors travels with the package, because third parties run it too."""

import pytest

pytest.register_assert_rewrite("foedus.connectors.metadata.contract")

from foedus.connectors.metadata.contract import MetadataContract  # noqa: E402 - after its asserts may be rewritten

__all__ = ["MetadataContract"]

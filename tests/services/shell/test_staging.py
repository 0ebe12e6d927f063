"""Scratch files that cannot be made are waited for, like those that find no room."""

import pytest

from foedus.core.errors import Unavailable
from foedus.services.shell.staging import Staging


def test_a_scratch_folder_in_which_nothing_can_be_made_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match="cannot be stored"):
        Staging(tmp_path / "gone", 10)

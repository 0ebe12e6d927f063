import pytest

from foedus.core.errors import Invalid
from foedus.sdk.market.filenames import checked_address, named, safe


@pytest.mark.parametrize("name", ["..", "%2E%2E", "a%5Cb.csv", "a%00b", "x" * 201, "%C3%A4" * 101])
def test_a_file_that_nobody_could_save_under_its_own_name_is_offered_under_another(name):
    assert [named(place, f"https://host/{name}") for place in (0, 12)] == ["file", "12-file"]


def test_a_file_is_offered_under_its_own_name():
    names = [named(place, "https://host/a%20b/c%C3%A4.csv?d=1") for place in (0, 1)]

    assert [safe(name) for name in names] == names == ["cä.csv", "1-cä.csv"]


def test_a_name_has_room_for_its_place():
    assert named(0, "https://host/" + "x" * 200) == "x" * 200
    assert named(1, "https://host/" + "x" * 200) == "1-file"


def test_a_first_file_that_is_called_like_a_second_one():
    assert [named(place, f"https://host/{name}") for place, name in enumerate(("1-a", "a"))] == ["0-1-a", "1-a"]


def test_a_path_is_no_address_of_a_file_for_sale():
    assert checked_address("file:///srv/rows.csv") == "file:///srv/rows.csv"
    for path in ("rows/visits.csv", "/srv/rows.csv", ""):
        with pytest.raises(Invalid, match="is no address"):
            checked_address(path)

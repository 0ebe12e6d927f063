"""The admin pages' styles, from the packages themselves or from a bucket."""

import pytest

ADMIN_STYLE = "admin/css/base.css"


@pytest.mark.django_db
def test_styles_come_from_the_server_without_anything_collected(client):
    response = client.get(f"/static/{ADMIN_STYLE}")

    assert response.status_code == 200
    assert b"--primary" in b"".join(response.streaming_content)

"""The second bucket that FLaaS documents, over HTTP."""

import os
import subprocess
import sys

import boto3
import pytest

pytest.importorskip("storages")


@pytest.mark.slow
def test_styles_can_be_collected_into_a_bucket_of_their_own(s3_endpoint, tmp_path):
    s3 = boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1")
    s3.create_bucket(Bucket="styles")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("FOEDUS_", "DJANGO_"))},
        "FOEDUS_DATA": str(tmp_path),
        "AWS_S3_BUCKET_NAME_STATIC": "styles",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": s3_endpoint,
    }

    subprocess.run(
        [sys.executable, "-m", "foedus", "manage", "collectstatic", "--noinput", "--verbosity", "0"],
        env=environment,
        check=True,
        capture_output=True,
    )

    found = s3.head_object(Bucket="styles", Key="admin/css/base.css")
    assert found["ContentType"] == "text/css"

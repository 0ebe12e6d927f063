"""FMA's settings of these functions; docs/reference/fma-settings.md tells what may stand here."""

INSTALLED_PACKAGES: list[str] = []

AGGREGATOR_SETTINGS = {
    "aggregator_connector_type": "DjangoAggConnector",
    "metadata_connector": {"type": "DjangoMetadataConnector"},
    "model_data_connector": {"type": None},
    "secrets_manager": "aws_secrets",
    "secrets_name": [],
}

API_SERVICE_SETTINGS = {
    "handler": "django_lambda_handler",
    "secrets_manager": "aws_secrets",
    "secrets_name": [],
}

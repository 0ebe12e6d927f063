from django.apps import AppConfig


class AggregationConfig(AppConfig):
    name = "foedus.records.aggregation"
    label = "aggregation"
    default_auto_field = "django.db.models.BigAutoField"

from django.apps import AppConfig


class MarketConfig(AppConfig):
    name = "foedus.records.market"
    label = "market"
    default_auto_field = "django.db.models.BigAutoField"

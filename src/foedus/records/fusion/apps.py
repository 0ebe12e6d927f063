from django.apps import AppConfig


class FusionConfig(AppConfig):
    name = "foedus.records.fusion"
    label = "fusion"

from django.apps import AppConfig


class StatisticsConfig(AppConfig):
    name = "foedus.records.statistics"
    label = "statistics"

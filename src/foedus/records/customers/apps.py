from django.apps import AppConfig


class CustomersConfig(AppConfig):
    name = "foedus.records.customers"
    label = "customers"

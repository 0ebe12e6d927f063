from django.apps import AppConfig


class ServerConfig(AppConfig):
    name = "foedus.server"
    label = "server"

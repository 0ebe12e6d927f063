"""Django's settings, all from ``foedus.bootstrap``."""

from typing import Any

from django.utils.functional import SimpleLazyObject

from foedus import bootstrap
from foedus.server import fma_settings

_options = bootstrap.settings()

# Read when first needed: importing the settings makes no key.
SECRET_KEY: Any = SimpleLazyObject(lambda: bootstrap.secret("django-secret-key").reveal())
DEBUG = False
ALLOWED_HOSTS = [*_options.hosts, *_options.trusted_origins]
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in _options.trusted_origins]
ROOT_URLCONF = "foedus.server.urls"
DATABASES = {"default": fma_settings.database(_options)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

INSTALLED_APPS = [
    "foedus.server.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "foedus.records.accounts",
    "foedus.records.aggregation",
    "foedus.records.customers",
    "foedus.records.federation",
    "foedus.records.fleet",
    "foedus.records.fusion",
    "foedus.records.learning",
    "foedus.records.market",
    "foedus.records.shell",
    "foedus.records.sources",
    "foedus.records.statistics",
    *(["foedus.faces.console.apps.ConsoleConfig"] if "console" in _options.faces else []),
    "foedus.server.api",
    "foedus.server.apps.ServerConfig",
]
MIDDLEWARE = [
    "foedus.server.middleware.NoContentMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "foedus.server.static.static_files",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "foedus.server.middleware.PortsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # straight from the packages: nothing to collect before the first start
WHITENOISE_AUTOREFRESH = False
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
if _options.static_bucket:  # foedus manage collectstatic puts them there
    STORAGES["staticfiles"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": _options.static_bucket,
            "region_name": _options.static_region or None,
            "querystring_auth": False,
        },
    }
DATA_UPLOAD_MAX_MEMORY_SIZE = 1 << 20
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
LOGGING_CONFIG = None  # structlog is set up by the entry points
SILENCED_SYSTEM_CHECKS = ["fields.W342"]

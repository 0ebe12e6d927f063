"""Django alone, for ``foedus web --plane control``."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "foedus.server.settings")
application = get_wsgi_application()

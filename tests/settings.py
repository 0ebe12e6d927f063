"""Django's settings under test: a data folder of its own, and no option of whoever runs the tests."""

import atexit
import os
import tempfile
from pathlib import Path

from tests.leftovers import Removed

for _name in [name for name in os.environ if name.startswith("FOEDUS_") and not name.startswith("FOEDUS_TEST_")]:
    del os.environ[_name]
os.environ.pop("DATABASE_URL", None)

DATA = Path(tempfile.mkdtemp(prefix="foedus-tests-"))
_removed = Removed(DATA)
atexit.register(_removed.now)
os.environ["FOEDUS_DATA"] = str(DATA)
if "FOEDUS_TEST_DATABASE_URL" in os.environ:
    os.environ["FOEDUS_DATABASE_URL"] = os.environ["FOEDUS_TEST_DATABASE_URL"]

from foedus.server.settings import *  # noqa: E402, F403 - the settings under test, read after the environment is set
from foedus.server.settings import DATABASES  # noqa: E402

ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Made as they are today: the tour through every migration takes longer than many a test file, and has tests of its own.
DATABASES["default"]["TEST"] = {"MIGRATE": False}
if DATABASES["default"]["ENGINE"].endswith("sqlite"):
    # In a file, because threads of one test must not share one connection.
    DATABASES["default"]["TEST"]["NAME"] = str(DATA / "test.sqlite3")
    DATABASES["default"]["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"

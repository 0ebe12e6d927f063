#!/usr/bin/env python
"""Runs any management command, as ``foedus manage`` does."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "foedus.server.settings")
    execute_from_command_line(sys.argv)

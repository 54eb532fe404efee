#!/usr/bin/env python3
"""Django's own commands, for development: makemigrations, shell."""

import os
import sys

sys.dont_write_bytecode = True

from django.core.management import execute_from_command_line  # noqa: E402

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "platform_backend.settings")

if __name__ == "__main__":
    execute_from_command_line(sys.argv)

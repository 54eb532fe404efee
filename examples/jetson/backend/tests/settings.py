"""The platform's settings over a data folder of the tests' own."""

import atexit
import os
import shutil
import tempfile

_folder = tempfile.mkdtemp(prefix="platform-tests-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
for _name in ("PLATFORM_SECRETS_FILE", "PLATFORM_ENV", "RELEASE_ID"):
    os.environ.pop(_name, None)
os.environ["PLATFORM_DATA_DIR"] = _folder
os.environ["EXCHANGE_URL"] = "http://127.0.0.1:9"  # nobody listens there

from platform_backend.settings import *  # noqa: E402, F403

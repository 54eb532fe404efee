"""Django's settings, derived from the environment, the configuration file and the secrets."""

from .config import load_config
from .environment import ROOT, read_environment
from .secret_store import load_secrets

ENVIRONMENT = read_environment()
CONFIG = load_config()
SECRETS = load_secrets(ENVIRONMENT)
FRONTEND_DIST = ROOT / "frontend" / "dist"

SECRET_KEY = SECRETS["DJANGO_SECRET_KEY"]
DEBUG = False  # never: its error pages show settings
ALLOWED_HOSTS = CONFIG.server.allowed_hosts
INSTALLED_APPS = ["rest_framework", "orders", "candles"]
MIDDLEWARE = [
    "platform_backend.middleware.CorrelationMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "platform_backend.urls"
ASGI_APPLICATION = "platform_backend.asgi.application"
APPEND_SLASH = False
LOGGING_CONFIG = None  # platform_backend.logs does it, for Django and everything else
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ENVIRONMENT.database,
        "OPTIONS": {
            "timeout": 5,  # seconds that a statement waits for another writer
            "transaction_mode": "IMMEDIATE",  # a transaction that would write waits at its start
            "init_command": (
                "PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL;"
                " PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"
            ),
        },
    }
}

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "platform_backend.errors.api_exception",
}

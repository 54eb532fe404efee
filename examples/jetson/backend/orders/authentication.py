"""Who may place orders: the holder of the API token."""

from secrets import compare_digest

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed


class TokenHolder:
    """Stands for whoever showed the token."""

    is_authenticated = True


class BearerToken(BaseAuthentication):
    """Authorization: Bearer PLATFORM_API_TOKEN."""

    def authenticate(self, request):
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        if not compare_digest(token.encode(), settings.SECRETS["PLATFORM_API_TOKEN"].encode()):
            raise AuthenticationFailed("wrong token")
        return TokenHolder(), None

    def authenticate_header(self, request) -> str:
        return "Bearer"

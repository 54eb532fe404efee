"""The backend's tests; they need nothing but the Python environment."""

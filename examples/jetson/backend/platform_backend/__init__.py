"""What all processes of the platform share: environment, secrets, configuration, logs, HTTP."""

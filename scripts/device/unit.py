import json, os, shutil, sys
# Has systemd run the bootstrap, its argument, in a unit of its own: what a session does must not end with its login.
WHY = ("not-root", "to install units takes root: log in as root, or set X_SUDO") if os.geteuid() else None
if not os.path.isdir("/run/systemd/system") or not shutil.which("systemd-run"):
    WHY = ("no-systemd", "this board was not booted by systemd; X_SUPERVISOR=plain needs none")
if WHY:
    print(json.dumps({"hello": {"failure": {"reason": "device-refused", "code": WHY[0], "detail": WHY[1]}}}))
    sys.exit(3)
os.execvp("systemd-run", [
    "systemd-run", "--pipe", "--wait", "--quiet", "--collect", "--unit=slipway-agent-" + os.urandom(6).hex(),
    "--description=A session of Slipway", "--property=Type=exec", "--property=TimeoutStopSec=20",
    "--", sys.executable, "-c", sys.argv[1].replace("$", "$$")])

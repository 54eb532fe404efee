# Has systemd run the bootstrap, $1, in a unit of its own: what a session does must not end with its login. A shell, for
# it starts in a tenth of the time that Python takes.
refuse() {
  printf '{"hello": {"failure": {"reason": "device-refused", "code": "%s", "detail": "%s"}}}\n' "$1" "$2"
  exit 3
}
[ -O /proc ] || refuse not-root 'to install units takes root: log in as root, or set X_SUDO'
[ -d /run/systemd/system ] && command -v systemd-run >/dev/null ||
  refuse no-systemd 'this board was not booted by systemd; X_SUPERVISOR=plain needs none'
python=$(command -v python3) || exit 127
read -r id </proc/sys/kernel/random/uuid
exec systemd-run --pipe --wait --quiet --collect "--unit=slipway-agent-$id" \
  '--description=A session of Slipway' --property=Type=exec --property=TimeoutStopSec=20 -- "$python" -I -S -c "$1"

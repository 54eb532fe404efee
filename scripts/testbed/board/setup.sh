#!/bin/sh
# Runs inside the new tree: accounts, sshd, and what a container's systemd must not wait for.
set -eu

for name in pilot clerk guest; do
  useradd --create-home --shell /bin/bash "$name"
done
echo 'clerk:open sesame' | chpasswd
printf 'pilot ALL=(ALL:ALL) NOPASSWD: ALL\nclerk ALL=(ALL:ALL) ALL\n' >/etc/sudoers.d/board
chmod 0440 /etc/sudoers.d/board

# Each board gets a host key of its own before it starts.
rm -f /etc/ssh/ssh_host_*
cp /etc/board/sshd.conf /etc/ssh/sshd_config.d/board.conf

cp /etc/board/cable.service /etc/systemd/system/
systemctl enable cable.service
systemctl disable nginx.service
systemctl mask apt-daily.timer apt-daily-upgrade.timer console-getty.service getty.target \
  systemd-logind.service systemd-udevd.service
mkdir -p /var/log/journal

# Settings of the machine that built the image; an empty machine id is made at the first boot.
rm -f /etc/apt/apt.conf.d/99mmdebstrap
: >/etc/machine-id
chmod 0755 /etc/board/init.sh

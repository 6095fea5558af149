"""Small Debian machines that really boot (systemd-nspawn), in a network of their own, for `tests/machines`.

Needs root, and the packages that `scripts/setup machines` installs. Nothing here reaches beyond this host.
"""

"""Root at the command line becomes the program's own user: no file of the program's gets to belong to root."""

import os
import pwd
from pathlib import Path


def become_owner(folder: Path) -> None:
    """Whose folder it is; stays who it is where that is root, or there is no such folder yet."""
    if os.geteuid() != 0 or not folder.exists():
        return
    status = folder.stat()
    if status.st_uid == 0:
        return
    try:
        name = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        os.setgroups([])
    else:
        os.initgroups(name, status.st_gid)
    os.setgid(status.st_gid)
    os.setuid(status.st_uid)

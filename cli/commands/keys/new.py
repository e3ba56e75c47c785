"""`gpuledger keys new`: make a signing key."""

from __future__ import annotations

import click

from ...keyfile import chosen_path, make
from ...options import define
from ...printable import printable
from ...session import Session
from ...words import _

EXAMPLES = """
gpuledger keys new
gpuledger keys new --key-file /root/gpuledger.pem
"""


@define("new", examples=EXAMPLES)
@click.option("--key-file", metavar="FILE", help="Where; else in the user's configuration.")
def command(session: Session, key_file: str | None) -> None:
    """Make an Ed25519 key in a file that only its owner may read; never over another one."""
    path = chosen_path(key_file)
    make(path)
    if session.json:
        session.document({"file": path})
        return
    session.say(_("made the signing key {path}").format(path=printable(path)))
    session.notice(_("keep a copy of it apart; gpuledger keys show prints what others verify with"))

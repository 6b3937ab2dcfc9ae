"""The server's own secrets: one private file each, made on first use and the same ever after.

A file comes to be complete, with mode 0600 and only once, whoever else starts at the same moment. A file that anybody
but its owner could have read is no secret: the server refuses to start on it.
"""

import json
import os
import re
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

ALGORITHM: Final = "ES256"
"""What the built-in issuer signs with: ECDSA on P-256 with SHA-256 (RFC 7518)."""

_CURVE: Final = "P-256"
_SECRET_BYTES: Final = 32
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")


class KeyFileError(RuntimeError):
    """A file of secrets cannot be trusted or read. Its message is for the operator and names the file."""


def signing_key(folder: Path, name: str = "signing-key") -> ECKey:
    """Return a private key to sign tokens with, made when `folder` has none of the name. Its `kid` is its thumbprint.

    Raises KeyFileError.
    """
    path = folder / f"{name}.json"
    content = _kept(path, lambda: json.dumps(_new_key().as_dict(private=True)).encode())
    try:
        key = ECKey.import_key(json.loads(content))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise KeyFileError(f"{path} does not hold a key") from error
    if not key.is_private or key.curve_name != _CURVE or not key.kid:
        raise KeyFileError(f"{path} does not hold a private {_CURVE} key with a kid")
    return key


def secret(folder: Path, name: str) -> bytes:
    """Return the 32 random bytes kept in `folder` under `name`, made when there are none.

    Raises KeyFileError, and ValueError for a name that is no file name of lower case letters, digits and hyphens.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a secret")
    path = folder / f"{name}.key"
    content = _kept(path, lambda: secrets.token_bytes(_SECRET_BYTES))
    if len(content) != _SECRET_BYTES:
        raise KeyFileError(f"{path} does not hold {_SECRET_BYTES} bytes")
    return content


def write_private(path: Path, content: bytes, *, replace: bool) -> bool:
    """Write a file that only its owner may read, all of it or nothing; tell whether it was written.

    Without `replace` a file that is there stays as it is. The folder is made, for its owner alone, when it is missing.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        if replace:
            draft.replace(path)
        else:
            path.hardlink_to(draft)  # unlike a rename, this fails when another process was first
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    _sync(path.parent)
    return True


def read_private(path: Path) -> bytes:
    """Return what a private file holds.

    Raises FileNotFoundError, and KeyFileError when the file is not a plain file of this user that nobody else may use.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read as a plain file of this user") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise KeyFileError(f"{path} is not a plain file of this user")
        if status.st_mode & 0o077:
            raise KeyFileError(f"{path} is open to other users; what it holds must be replaced, then chmod 600 it")
        return file.read()


def _kept(path: Path, make: Callable[[], bytes]) -> bytes:
    try:
        return read_private(path)
    except FileNotFoundError:
        write_private(path, make(), replace=False)
        return read_private(path)  # of two that start at once, both use what the first one wrote


def _new_key() -> ECKey:
    return ECKey.generate_key(_CURVE, {"use": "sig", "alg": ALGORITHM}, private=True, auto_kid=True)


def _sync(folder: Path) -> None:
    """Make the name of a new file survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

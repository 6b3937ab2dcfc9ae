"""How the code of a task reaches this server: as its execution, with a token and a configuration of its own."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from airspace_server.core.scope import ExecutionId


@dataclass(frozen=True, slots=True)
class Callback:
    """What an attempt is given: `token` signs one, `endpoint` is the admin listener's host and port.

    `encrypted` tells whether that speaks TLS, `roots` is the PEM file of the authorities to trust then, of which an
    attempt gets a copy; None for those that the machine knows.
    """

    token: Callable[[ExecutionId], str]
    endpoint: str
    encrypted: bool
    roots: Path | None

    def prepare(self, execution: ExecutionId, folder: Path) -> Mapping[str, str]:
        """Write token and configuration into an attempt's folder; return the variables by which clients find them."""
        token, config = folder / "token", folder / "flyte.yaml"
        # ExternalCommand is the one way in which each of Flyte's clients takes a token that exists already.
        admin: dict[str, object] = {
            "endpoint": f"dns:///{self.endpoint}",
            "insecure": not self.encrypted,
            "authType": "ExternalCommand",
            "command": ["/bin/cat", str(token)],
        }
        if self.encrypted and self.roots is not None:
            admin["caCertFilePath"] = str(shutil.copy(self.roots, folder / "roots.pem"))
        for path, content in ((token, self.token(execution)), (config, json.dumps({"admin": admin}))):
            path.touch(0o600)
            path.write_text(content)
        return {"FLYTECTL_CONFIG": str(config), "AIRSPACE_CONFIG": str(config)}

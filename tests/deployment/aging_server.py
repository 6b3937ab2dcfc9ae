"""`airspace` whose policy grows too old in two seconds: `python aging_server.py serve execution`."""

import functools

from airspace_client.cli.main import main
from airspace_server import app

AGE = 2.0
"""Seconds, instead of the thirty that nobody wants to wait for."""

if __name__ == "__main__":
    app.PolicyStore = functools.partial(app.PolicyStore, max_age=AGE)  # type: ignore[misc, assignment]
    main()

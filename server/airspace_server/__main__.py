"""`python -m airspace_server`: the server's commands without the client's command line."""

import click

from airspace_server.commands import serve, worker

main = click.Group(commands={"serve": serve, "worker": worker})

if __name__ == "__main__":
    main()

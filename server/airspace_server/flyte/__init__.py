"""What both Flyte front doors share: the rules over flyteidl messages. Pure: no I/O, no database, no wire."""

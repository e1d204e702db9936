"""What type checkers must refuse; each such line has a mark."""

from __future__ import annotations

import enrolld


def wrong(client: enrolld.Client) -> None:
    client.person.create()  # error
    client.person.create(7)  # error
    client.person.create("DOGGO01a", extras={})  # error
    client.person.create("DOGGO01a", timeout="1 s")  # error
    client.person.get("DOGGO01a").callsigns  # error
    client.person.get("DOGGO01a").callsign = "B"  # error
    client.code.use(client.code.create({}).code)  # error
    client.person.teleport("DOGGO01a")  # error

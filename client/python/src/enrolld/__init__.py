"""enrolld: people, roles, one-time tokens and login codes of a local enrollment authority.

import enrolld

client = enrolld.Client()
client.person.create("DOGGO01a", extra={"team": "red"})
code = client.code.create({"sub": "DOGGO01a"}).code
try:
    client.code.use(code)
except enrolld.TokenReuse as refused:
    print(refused.message)
"""

from . import _records, _refusals
from ._client import AsyncClient, Client
from ._context import origin
from ._errors import DeadlineExceeded, EnrolldError, ProtocolError, Refused
from ._files import write_private
from ._records import *  # noqa: F403
from ._refusals import *  # noqa: F403
from ._socket import default_socket
from ._values import UNSET, Named, Reference, Secret, Unset, by_callsign, by_invitecode, by_name, by_pk
from ._version import __version__

__all__ = [
    "UNSET",
    "AsyncClient",
    "Client",
    "DeadlineExceeded",
    "EnrolldError",
    "Named",
    "ProtocolError",
    "Reference",
    "Refused",
    "Secret",
    "Unset",
    "__version__",
    "by_callsign",
    "by_invitecode",
    "by_name",
    "by_pk",
    "default_socket",
    "origin",
    "write_private",
]
__all__ += _records.__all__
__all__ += _refusals.__all__

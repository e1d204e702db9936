# Generated from the operations table by client/python/generate. Do not change it by hand.
"""Refusals: an exception class for each code of the table."""

from __future__ import annotations

from ._errors import Refused


class NotFound(Refused):
    """`not_found`: there is no such record; check its name or pk."""

    http_status = 404


class Deleted(Refused):
    """`deleted`: the record was deleted; only reads with allow_deleted show it."""

    http_status = 410


class InvalidArgument(Refused):
    """`invalid_argument`: an argument is not acceptable; see the help of the operation."""

    http_status = 400


class PermissionDenied(Refused):
    """`permission_denied`: the peer's grant or the actor's roles do not allow this; ask an administrator for one that does."""

    http_status = 403


class ForbiddenOperation(Refused):
    """`forbidden_operation`: no grant and no permission allows this; the help of the operation names another way."""

    http_status = 403


class KeyReused(Refused):
    """`key_reused`: the idempotency key was used for a different request; use a new key for every new request."""

    http_status = 422


class Conflict(Refused):
    """`conflict`: the request conflicts with what is stored; read the record again, and change it or the request."""

    http_status = 409


class CodeExhausted(Refused):
    """`code_exhausted`: no free code was found in 100 attempts; make code_size larger."""

    http_status = 409


class Busy(Refused):
    """`busy`: the queue of the daemon is full; try again in a moment."""

    http_status = 503


class TooLarge(Refused):
    """`too_large`: the answer does not fit a frame; ask for less at once, such as a smaller page."""

    http_status = 413


class Storage(Refused):
    """`storage`: the disk refuses writes, and nothing was done; make room on it or replace it, and try again."""

    http_status = 507


class OutcomeUnknown(Refused):
    """`outcome_unknown`: the commit failed and may be durable or not; send the request again with the same idempotency key."""

    http_status = 503


class Unavailable(Refused):
    """`unavailable`: the daemon can not be reached; see that it runs and that the socket's path is right."""

    http_status = 503


class ShuttingDown(Refused):
    """`shutting_down`: the daemon is stopping; try again when it is back."""

    http_status = 503


class Internal(Refused):
    """`internal`: an error inside the daemon; its log has the reason."""

    http_status = 500


class UnknownOperation(Refused):
    """`unknown_operation`: this daemon has no such operation; upgrade it, or use a client of its version."""

    http_status = 501


class CallsignReserved(Refused):
    """`callsign_reserved`: the callsign is taken or reserved; choose another."""

    http_status = 409


class TokenReuse(Refused):
    """`token_reuse`: the token or code was used before; get a new one."""

    http_status = 409


class Expired(Refused):
    """`expired`: the record or token has expired; get a new one."""

    http_status = 410


class TooManyAttempts(Refused):
    """`too_many_attempts`: too many wrong codes; wait before trying again."""

    http_status = 429


class JwtInvalid(Refused):
    """`jwt_invalid`: the JWT is not valid here: not signed by this daemon, changed or expired; get a new one."""

    http_status = 401


class PoolInactive(Refused):
    """`pool_inactive`: the pool is not active; its owner can activate it."""

    http_status = 409


class PoolExhausted(Refused):
    """`pool_exhausted`: all uses of the pool are taken; raise its max_uses, or use another pool."""

    http_status = 409


class AlreadyDecided(Refused):
    """`already_decided`: the enrollment was decided before; a rejected one can be reopened."""

    http_status = 409


class CodeMismatch(Refused):
    """`code_mismatch`: the approve code does not belong to this enrollment; check it, or make a new one."""

    http_status = 403


class RegistrationNotRequired(Refused):
    """`registration_not_required`: everybody may come to this event without registering."""

    http_status = 409


class EventNotPublished(Refused):
    """`event_not_published`: the event is not published; publish it first."""

    http_status = 409


class EventCanceled(Refused):
    """`event_canceled`: the event is canceled, and nobody can register for it."""

    http_status = 409


class EventPast(Refused):
    """`event_past`: the event is over, and nobody can register for it."""

    http_status = 409


class RegistrationClosed(Refused):
    """`registration_closed`: the time to register or to cancel has ended; the event's owner can set a later one."""

    http_status = 409


class RegistrationNotOpen(Refused):
    """`registration_not_open`: no pool that admits this person is open yet; try again when one opens."""

    http_status = 409


class AlreadyRegistered(Refused):
    """`already_registered`: the person is registered already; show the registration to see its state."""

    http_status = 409


class NoPermission(Refused):
    """`no_permission`: no pool of the event admits this person; give them a role of a pool, or add a pool."""

    http_status = 403


class NoFreeSlots(Refused):
    """`no_free_slots`: no place is free; raise a capacity, or allow the waiting list."""

    http_status = 409


class EventHasRegistrations(Refused):
    """`event_has_registrations`: somebody has registered for the event; cancel the event instead."""

    http_status = 409


class PoolHasRegistrations(Refused):
    """`pool_has_registrations`: somebody has registered for the event's pools; cancel the registrations first."""

    http_status = 409


class InvalidTransition(Refused):
    """`invalid_transition`: the state of the record does not allow this; read it again to see its state."""

    http_status = 409


class CsrMismatch(Refused):
    """`csr_mismatch`: the signing request names another person; make one whose common name is the callsign."""

    http_status = 422


class WouldMove(Refused):
    """`would_move`: only in a dry run: the key is linked to another person, who would be unlinked."""

    http_status = 409


REFUSALS: dict[str, type[Refused]] = {
    "not_found": NotFound,
    "deleted": Deleted,
    "invalid_argument": InvalidArgument,
    "permission_denied": PermissionDenied,
    "forbidden_operation": ForbiddenOperation,
    "key_reused": KeyReused,
    "conflict": Conflict,
    "code_exhausted": CodeExhausted,
    "busy": Busy,
    "too_large": TooLarge,
    "storage": Storage,
    "outcome_unknown": OutcomeUnknown,
    "unavailable": Unavailable,
    "shutting_down": ShuttingDown,
    "internal": Internal,
    "unknown_operation": UnknownOperation,
    "callsign_reserved": CallsignReserved,
    "token_reuse": TokenReuse,
    "expired": Expired,
    "too_many_attempts": TooManyAttempts,
    "jwt_invalid": JwtInvalid,
    "pool_inactive": PoolInactive,
    "pool_exhausted": PoolExhausted,
    "already_decided": AlreadyDecided,
    "code_mismatch": CodeMismatch,
    "registration_not_required": RegistrationNotRequired,
    "event_not_published": EventNotPublished,
    "event_canceled": EventCanceled,
    "event_past": EventPast,
    "registration_closed": RegistrationClosed,
    "registration_not_open": RegistrationNotOpen,
    "already_registered": AlreadyRegistered,
    "no_permission": NoPermission,
    "no_free_slots": NoFreeSlots,
    "event_has_registrations": EventHasRegistrations,
    "pool_has_registrations": PoolHasRegistrations,
    "invalid_transition": InvalidTransition,
    "csr_mismatch": CsrMismatch,
    "would_move": WouldMove,
}
"""The class of each code."""

__all__ = [
    "REFUSALS",
    "AlreadyDecided",
    "AlreadyRegistered",
    "Busy",
    "CallsignReserved",
    "CodeExhausted",
    "CodeMismatch",
    "Conflict",
    "CsrMismatch",
    "Deleted",
    "EventCanceled",
    "EventHasRegistrations",
    "EventNotPublished",
    "EventPast",
    "Expired",
    "ForbiddenOperation",
    "Internal",
    "InvalidArgument",
    "InvalidTransition",
    "JwtInvalid",
    "KeyReused",
    "NoFreeSlots",
    "NoPermission",
    "NotFound",
    "OutcomeUnknown",
    "PermissionDenied",
    "PoolExhausted",
    "PoolHasRegistrations",
    "PoolInactive",
    "RegistrationClosed",
    "RegistrationNotOpen",
    "RegistrationNotRequired",
    "ShuttingDown",
    "Storage",
    "TokenReuse",
    "TooLarge",
    "TooManyAttempts",
    "Unavailable",
    "UnknownOperation",
    "WouldMove",
]

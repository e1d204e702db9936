# Generated from _operations.py by tools/unasync.py. Do not change it by hand.
"""Operations: a method for each, in a class for each area."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Unpack

from ._calls_sync import Calls, Pages, Stream
from ._operation import Operation, Options
from ._records import *
from ._values import UNSET, JsonObject, Reference, Secret, Unset

PERSON_CREATE: Operation[Person] = Operation(1, "person.create", True, lambda value: Person.from_json(value))
PERSON_GET: Operation[Person] = Operation(2, "person.get", False, lambda value: Person.from_json(value))
PERSON_LIST: Operation[Person] = Operation(3, "person.list", False, lambda value: Person.from_json(value))
PERSON_FIND: Operation[Person] = Operation(4, "person.find", False, lambda value: Person.from_json(value))
PERSON_UPDATE: Operation[Person] = Operation(5, "person.update", True, lambda value: Person.from_json(value))
PERSON_DELETE: Operation[Person] = Operation(6, "person.delete", True, lambda value: Person.from_json(value))
PERSON_REVOKE: Operation[Person] = Operation(7, "person.revoke", True, lambda value: Person.from_json(value))
PERSON_RESTORE: Operation[Person] = Operation(8, "person.restore", True, lambda value: Person.from_json(value))
PERSON_ERASE: Operation[Person] = Operation(9, "person.erase", True, lambda value: Person.from_json(value))
ROLE_ASSIGN: Operation[bool] = Operation(10, "role.assign", True, None)
ROLE_REMOVE: Operation[bool] = Operation(11, "role.remove", True, None)
ROLE_HAS: Operation[bool] = Operation(12, "role.has", False, None)
ROLE_LIST: Operation[list[str]] = Operation(13, "role.list", False, None)
PERMISSION_GRANT: Operation[bool] = Operation(14, "permission.grant", True, None)
PERMISSION_REVOKE: Operation[bool] = Operation(15, "permission.revoke", True, None)
PERMISSION_HAS: Operation[bool] = Operation(16, "permission.has", False, None)
PERMISSION_LIST: Operation[list[PermissionGranted]] = Operation(17, "permission.list", False, lambda value: [PermissionGranted.from_json(item) for item in value])
TOKEN_USE: Operation[TokenSpent] = Operation(20, "token.use", True, lambda value: TokenSpent.from_json(value))
TOKEN_GET: Operation[TokenSpent] = Operation(21, "token.get", False, lambda value: TokenSpent.from_json(value))
TOKEN_DELETE: Operation[None] = Operation(22, "token.delete", True, None)
CODE_CREATE: Operation[CodeCreated] = Operation(30, "code.create", True, lambda value: CodeCreated.from_json(value))
CODE_USE: Operation[CodeUsed] = Operation(31, "code.use", True, lambda value: CodeUsed.from_json(value))
CODE_GET: Operation[CodeLogin] = Operation(32, "code.get", False, lambda value: CodeLogin.from_json(value))
CODE_DELETE: Operation[None] = Operation(33, "code.delete", True, None)
JWT_VERIFY: Operation[JsonObject] = Operation(40, "jwt.verify", False, None)
JWT_KEYS: Operation[JsonObject] = Operation(41, "jwt.keys", False, None)
JWT_REFRESH: Operation[CodeExchanged] = Operation(42, "jwt.refresh", True, lambda value: CodeExchanged.from_json(value))
JWT_ROTATE: Operation[JsonObject] = Operation(43, "jwt.rotate", True, None)
JWT_EXCHANGE: Operation[CodeExchanged] = Operation(44, "jwt.exchange", True, lambda value: CodeExchanged.from_json(value))
CHANGES_LIST: Operation[Change] = Operation(50, "changes.list", False, lambda value: Change.from_json(value))
CHANGES_FOLLOW: Operation[Change] = Operation(51, "changes.follow", False, lambda value: Change.from_json(value))
CHANGES_HEAD: Operation[ChainHead] = Operation(52, "changes.head", False, lambda value: ChainHead.from_json(value))
SERVER_STATUS: Operation[DaemonStatus] = Operation(60, "server.status", False, lambda value: DaemonStatus.from_json(value))
SERVER_CHECK: Operation[list[Violation]] = Operation(61, "server.check", False, lambda value: [Violation.from_json(item) for item in value])
SERVER_METRICS: Operation[str] = Operation(62, "server.metrics", False, None)
SERVER_BACKUP: Operation[str] = Operation(63, "server.backup", False, None)
SERVER_EXPORT: Operation[str] = Operation(64, "server.export", False, None)
SERVER_IMPORT: Operation[ServerImported] = Operation(65, "server.import", True, lambda value: ServerImported.from_json(value))
SERVER_ACCEPT_CLOCK: Operation[DaemonStatus] = Operation(66, "server.accept_clock", True, lambda value: DaemonStatus.from_json(value))
SERVER_SNAPSHOT: Operation[DaemonSnapshot] = Operation(67, "server.snapshot", False, lambda value: DaemonSnapshot.from_json(value))
POOL_CREATE: Operation[Pool] = Operation(70, "pool.create", True, lambda value: Pool.from_json(value))
POOL_GET: Operation[Pool] = Operation(71, "pool.get", False, lambda value: Pool.from_json(value))
POOL_LIST: Operation[Pool] = Operation(72, "pool.list", False, lambda value: Pool.from_json(value))
POOL_UPDATE: Operation[Pool] = Operation(73, "pool.update", True, lambda value: Pool.from_json(value))
POOL_SET_ACTIVE: Operation[Pool] = Operation(74, "pool.set_active", True, lambda value: Pool.from_json(value))
POOL_RESET_CODE: Operation[Pool] = Operation(75, "pool.reset_code", True, lambda value: Pool.from_json(value))
POOL_DELETE: Operation[Pool] = Operation(76, "pool.delete", True, lambda value: Pool.from_json(value))
POOL_CHECK: Operation[bool] = Operation(77, "pool.check", False, None)
ENROLLMENT_CREATE: Operation[Enrollment] = Operation(80, "enrollment.create", True, lambda value: Enrollment.from_json(value))
ENROLLMENT_GET: Operation[Enrollment] = Operation(81, "enrollment.get", False, lambda value: Enrollment.from_json(value))
ENROLLMENT_FIND: Operation[Enrollment] = Operation(82, "enrollment.find", False, lambda value: Enrollment.from_json(value))
ENROLLMENT_LIST: Operation[Enrollment] = Operation(83, "enrollment.list", False, lambda value: Enrollment.from_json(value))
ENROLLMENT_APPROVE: Operation[Person] = Operation(84, "enrollment.approve", True, lambda value: Person.from_json(value))
ENROLLMENT_REJECT: Operation[Enrollment] = Operation(85, "enrollment.reject", True, lambda value: Enrollment.from_json(value))
ENROLLMENT_RESET_CODE: Operation[Enrollment] = Operation(86, "enrollment.reset_code", True, lambda value: Enrollment.from_json(value))
ENROLLMENT_DELETE: Operation[None] = Operation(87, "enrollment.delete", True, None)
ENROLLMENT_REOPEN: Operation[Enrollment] = Operation(88, "enrollment.reopen", True, lambda value: Enrollment.from_json(value))
ENROLLMENT_UPDATE: Operation[Enrollment] = Operation(89, "enrollment.update", True, lambda value: Enrollment.from_json(value))
EVENT_CREATE: Operation[Event] = Operation(90, "event.create", True, lambda value: Event.from_json(value))
EVENT_GET: Operation[Event] = Operation(91, "event.get", False, lambda value: Event.from_json(value))
EVENT_LIST: Operation[Event] = Operation(92, "event.list", False, lambda value: Event.from_json(value))
EVENT_UPDATE: Operation[Event] = Operation(93, "event.update", True, lambda value: Event.from_json(value))
EVENT_PUBLISH: Operation[Event] = Operation(94, "event.publish", True, lambda value: Event.from_json(value))
EVENT_UNPUBLISH: Operation[Event] = Operation(95, "event.unpublish", True, lambda value: Event.from_json(value))
EVENT_CANCEL: Operation[Event] = Operation(96, "event.cancel", True, lambda value: Event.from_json(value))
EVENT_ADD_POOL: Operation[Event] = Operation(97, "event.add_pool", True, lambda value: Event.from_json(value))
EVENT_UPDATE_POOL: Operation[Event] = Operation(98, "event.update_pool", True, lambda value: Event.from_json(value))
EVENT_REMOVE_POOL: Operation[Event] = Operation(99, "event.remove_pool", True, lambda value: Event.from_json(value))
REGISTRATION_CREATE: Operation[Registration] = Operation(100, "registration.create", True, lambda value: Registration.from_json(value))
REGISTRATION_CANCEL: Operation[Registration] = Operation(101, "registration.cancel", True, lambda value: Registration.from_json(value))
REGISTRATION_GET: Operation[Registration] = Operation(102, "registration.get", False, lambda value: Registration.from_json(value))
REGISTRATION_LIST: Operation[Registration] = Operation(103, "registration.list", False, lambda value: Registration.from_json(value))
REGISTRATION_APPROVE: Operation[Registration] = Operation(104, "registration.approve", True, lambda value: Registration.from_json(value))
REGISTRATION_REJECT: Operation[Registration] = Operation(105, "registration.reject", True, lambda value: Registration.from_json(value))
REGISTRATION_EXPLAIN: Operation[Explanation] = Operation(106, "registration.explain", False, lambda value: Explanation.from_json(value))
REGISTRATION_PLACE: Operation[Registration] = Operation(107, "registration.place", True, lambda value: Registration.from_json(value))
SUPERVISOR_ASSIGN: Operation[Person] = Operation(110, "supervisor.assign", True, lambda value: Person.from_json(value))
SUPERVISOR_UNASSIGN: Operation[Person] = Operation(111, "supervisor.unassign", True, lambda value: Person.from_json(value))
SUPERVISOR_ADD_REPRESENTATIVE: Operation[bool] = Operation(112, "supervisor.add_representative", True, None)
SUPERVISOR_REMOVE_REPRESENTATIVE: Operation[bool] = Operation(113, "supervisor.remove_representative", True, None)
SUPERVISOR_PENDING: Operation[Registration] = Operation(114, "supervisor.pending", False, lambda value: Registration.from_json(value))
CONSTANT_SET: Operation[bool] = Operation(120, "constant.set", True, None)
CONSTANT_REMOVE: Operation[bool] = Operation(121, "constant.remove", True, None)
CONSTANT_LIST: Operation[list[Constant]] = Operation(122, "constant.list", False, lambda value: [Constant.from_json(item) for item in value])
CERTIFICATE_GET: Operation[str] = Operation(130, "certificate.get", False, None)
CERTIFICATE_KEY: Operation[Secret | None] = Operation(131, "certificate.key", False, lambda value: (None if (it := value) is None else Secret(it)))
CERTIFICATE_PFX: Operation[Secret | None] = Operation(132, "certificate.pfx", False, lambda value: (None if (it := value) is None else Secret(it)))
CERTIFICATE_RENEW: Operation[str | None] = Operation(133, "certificate.renew", True, None)
CERTIFICATE_CA: Operation[str] = Operation(134, "certificate.ca", False, None)
CERTIFICATE_CRL: Operation[str] = Operation(135, "certificate.crl", False, None)
CERTIFICATE_REVOKE: Operation[list[str]] = Operation(136, "certificate.revoke", True, None)
CERTIFICATE_ISSUE: Operation[CertificateIssued] = Operation(137, "certificate.issue", True, lambda value: CertificateIssued.from_json(value))
COURSE_CREATE: Operation[Course] = Operation(140, "course.create", True, lambda value: Course.from_json(value))
COURSE_GET: Operation[Course] = Operation(141, "course.get", False, lambda value: Course.from_json(value))
COURSE_LIST: Operation[Course] = Operation(142, "course.list", False, lambda value: Course.from_json(value))
COURSE_DELETE: Operation[bool] = Operation(143, "course.delete", True, None)
COURSE_ENROLL: Operation[CourseEnrollment] = Operation(144, "course.enroll", True, lambda value: CourseEnrollment.from_json(value))
COURSE_UNENROLL: Operation[CourseEnrollment] = Operation(145, "course.unenroll", True, lambda value: CourseEnrollment.from_json(value))
COURSE_ENROLLMENTS: Operation[CourseEnrollment] = Operation(146, "course.enrollments", False, lambda value: CourseEnrollment.from_json(value))
COURSE_ROLES: Operation[list[CourseRoleHeld]] = Operation(147, "course.roles", False, lambda value: [CourseRoleHeld.from_json(item) for item in value])
PROGRAM_ENROLL: Operation[dict[str, str]] = Operation(150, "program.enroll", True, None)
PROGRAM_ENROLL_COURSE: Operation[dict[str, str]] = Operation(151, "program.enroll_course", True, None)
PROGRAM_ASSIGN_COURSE_ROLE: Operation[bool] = Operation(152, "program.assign_course_role", True, None)
PROGRAM_LINK: Operation[dict[str, ProgramFailure]] = Operation(153, "program.link", True, lambda value: {name: ProgramFailure.from_json(item) for name, item in value.items()})
PROGRAM_UNLINK: Operation[dict[str, ProgramFailure]] = Operation(154, "program.unlink", True, lambda value: {name: ProgramFailure.from_json(item) for name, item in value.items()})
PROGRAM_ENROLLMENTS: Operation[ProgramEnrollment] = Operation(155, "program.enrollments", False, lambda value: ProgramEnrollment.from_json(value))
CLUSTER_STATUS: Operation[ClusterStatus] = Operation(156, "cluster.status", False, lambda value: ClusterStatus.from_json(value))
CLUSTER_HAND_OVER: Operation[str | None] = Operation(157, "cluster.hand_over", False, None)
TRANSACTION_RUN: Operation[list[Any]] = Operation(160, "transaction.run", True, None)

TABLE: dict[str, Operation[Any]] = {row.name: row for row in (
    PERSON_CREATE,
    PERSON_GET,
    PERSON_LIST,
    PERSON_FIND,
    PERSON_UPDATE,
    PERSON_DELETE,
    PERSON_REVOKE,
    PERSON_RESTORE,
    PERSON_ERASE,
    ROLE_ASSIGN,
    ROLE_REMOVE,
    ROLE_HAS,
    ROLE_LIST,
    PERMISSION_GRANT,
    PERMISSION_REVOKE,
    PERMISSION_HAS,
    PERMISSION_LIST,
    TOKEN_USE,
    TOKEN_GET,
    TOKEN_DELETE,
    CODE_CREATE,
    CODE_USE,
    CODE_GET,
    CODE_DELETE,
    JWT_VERIFY,
    JWT_KEYS,
    JWT_REFRESH,
    JWT_ROTATE,
    JWT_EXCHANGE,
    CHANGES_LIST,
    CHANGES_FOLLOW,
    CHANGES_HEAD,
    SERVER_STATUS,
    SERVER_CHECK,
    SERVER_METRICS,
    SERVER_BACKUP,
    SERVER_EXPORT,
    SERVER_IMPORT,
    SERVER_ACCEPT_CLOCK,
    SERVER_SNAPSHOT,
    POOL_CREATE,
    POOL_GET,
    POOL_LIST,
    POOL_UPDATE,
    POOL_SET_ACTIVE,
    POOL_RESET_CODE,
    POOL_DELETE,
    POOL_CHECK,
    ENROLLMENT_CREATE,
    ENROLLMENT_GET,
    ENROLLMENT_FIND,
    ENROLLMENT_LIST,
    ENROLLMENT_APPROVE,
    ENROLLMENT_REJECT,
    ENROLLMENT_RESET_CODE,
    ENROLLMENT_DELETE,
    ENROLLMENT_REOPEN,
    ENROLLMENT_UPDATE,
    EVENT_CREATE,
    EVENT_GET,
    EVENT_LIST,
    EVENT_UPDATE,
    EVENT_PUBLISH,
    EVENT_UNPUBLISH,
    EVENT_CANCEL,
    EVENT_ADD_POOL,
    EVENT_UPDATE_POOL,
    EVENT_REMOVE_POOL,
    REGISTRATION_CREATE,
    REGISTRATION_CANCEL,
    REGISTRATION_GET,
    REGISTRATION_LIST,
    REGISTRATION_APPROVE,
    REGISTRATION_REJECT,
    REGISTRATION_EXPLAIN,
    REGISTRATION_PLACE,
    SUPERVISOR_ASSIGN,
    SUPERVISOR_UNASSIGN,
    SUPERVISOR_ADD_REPRESENTATIVE,
    SUPERVISOR_REMOVE_REPRESENTATIVE,
    SUPERVISOR_PENDING,
    CONSTANT_SET,
    CONSTANT_REMOVE,
    CONSTANT_LIST,
    CERTIFICATE_GET,
    CERTIFICATE_KEY,
    CERTIFICATE_PFX,
    CERTIFICATE_RENEW,
    CERTIFICATE_CA,
    CERTIFICATE_CRL,
    CERTIFICATE_REVOKE,
    CERTIFICATE_ISSUE,
    COURSE_CREATE,
    COURSE_GET,
    COURSE_LIST,
    COURSE_DELETE,
    COURSE_ENROLL,
    COURSE_UNENROLL,
    COURSE_ENROLLMENTS,
    COURSE_ROLES,
    PROGRAM_ENROLL,
    PROGRAM_ENROLL_COURSE,
    PROGRAM_ASSIGN_COURSE_ROLE,
    PROGRAM_LINK,
    PROGRAM_UNLINK,
    PROGRAM_ENROLLMENTS,
    CLUSTER_STATUS,
    CLUSTER_HAND_OVER,
    TRANSACTION_RUN,
)}
"""Every operation by its name."""


class CertificateOperations:
    """The operations of the area `certificate`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def get(
        self,
        person: Reference,
        *,
        allow_deleted: bool = False,
        **options: Unpack[Options],
    ) -> str:
        """Show a person's certificate.

        The one that was issued last; one before it stays valid until it ends, unless it was for another key.

        - `person`: Callsign or pk.
        - `allow_deleted`: Also that of a deleted person, which is revoked.

        Needs the grant `read`, and of an actor the permission `/people/` for what is not their own.
        """
        args: dict[str, Any] = {"person": person, "allow_deleted": allow_deleted}
        return self._calls.call(CERTIFICATE_GET, args, options)

    def key(
        self,
        person: Reference,
        **options: Unpack[Options],
    ) -> Secret | None:
        """Show the private key of a person's certificate.

        Only where the daemon made it (`not_found` otherwise). Needs the permission `/`. `null` in a dry run.

        - `person`: Callsign or pk.

        Needs the grant `admin`, and of an actor the permission `/` for what is not their own.
        """
        args: dict[str, Any] = {"person": person}
        return self._calls.call(CERTIFICATE_KEY, args, options)

    def pfx(
        self,
        person: Reference,
        password: str,
        *,
        legacy: bool = False,
        **options: Unpack[Options],
    ) -> Secret | None:
        """Put a person's key, certificate and the authority's chain into one PKCS#12 file, in base64.

        Where the person brought the key, the file holds the certificate and the chain alone. Needs the permission `/`.
        `null` in a dry run. Refusals: `not_found` without a certificate.

        - `person`: Callsign or pk.
        - `password`: Password of the file.
        - `legacy`: Use triple DES and SHA-1, for systems that know nothing newer; they protect little.

        Needs the grant `admin`, and of an actor the permission `/` for what is not their own.
        """
        args: dict[str, Any] = {"person": person, "password": password, "legacy": legacy}
        return self._calls.call(CERTIFICATE_PFX, args, options)

    def renew(
        self,
        person: Reference,
        *,
        csr: str | None = None,
        keep: bool = False,
        **options: Unpack[Options],
    ) -> str | None:
        """Issue another certificate to a person who has one.

        For a new key of the daemon, or for the key of a signing request; without one, a key that the person brought is
        certified again. The certificate before stays valid until it ends or is revoked with the person. `null` in a dry
        run.

        Refusals: `not_found` without a certificate; `csr_mismatch`; `conflict` while too many are valid.

        - `person`: Callsign or pk.
        - `csr`: A signing request in PEM.
        - `keep`: Leave the certificate before valid, though the new one is for another key.

        Needs the grant `decide`, and of an actor the permission `/people/` for what is not their own.
        """
        args: dict[str, Any] = {"person": person, "keep": keep}
        if csr is not None:
            args["csr"] = csr
        return self._calls.call(CERTIFICATE_RENEW, args, options)

    def ca(
        self,
        **options: Unpack[Options],
    ) -> str:
        """Show the certificate of the authority, and those above it.

        Needs the grant `read`.
        """
        args: dict[str, Any] = {}
        return self._calls.call(CERTIFICATE_CA, args, options)

    def crl(
        self,
        *,
        der: bool = False,
        **options: Unpack[Options],
    ) -> Stream[str]:
        """Print the signed list of revoked certificates.

        The list comes in pieces and may have any length. It is signed once for each number, which grows with every
        revocation.

        - `der`: In DER in place of PEM: its bytes; as base64 where the answer is JSON.

        Needs the grant `read`.
        """
        args: dict[str, Any] = {"der": der}
        return self._calls.walk(CERTIFICATE_CRL, args, options)

    def revoke(
        self,
        person: Reference | None = None,
        *,
        name: str | None = None,
        reason: Literal["unspecified", "key_compromise", "affiliation_changed", "superseded", "cessation_of_operation", "privilege_withdrawn"] | str,
        serial: str | None = None,
        **options: Unpack[Options],
    ) -> builtins.list[str]:
        """Revoke a certificate of a person or of a service, or all of them, and leave the person as they are.

        Answers the serial numbers of those that were revoked. Refusals: `not_found` where there is none that is valid, or
        none of this serial number.

        - `person`: The person: callsign or pk.
        - `name`: A service in place of a person, by the name that `certificate issue` gave its certificates.
        - `reason`: Reason: unspecified, key_compromise, affiliation_changed, superseded, cessation_of_operation or privilege_withdrawn.
        - `serial`: Only the one of this serial number, in hexadecimal digits as `certificate show` prints it.

        Needs the grant `decide`, and of an actor the permission `/people/` for what is not their own.
        """
        args: dict[str, Any] = {"reason": reason}
        if person is not None:
            args["person"] = person
        if name is not None:
            args["name"] = name
        if serial is not None:
            args["serial"] = serial
        return self._calls.call(CERTIFICATE_REVOKE, args, options)

    def issue(
        self,
        name: str,
        *,
        csr: str | None = None,
        **options: Unpack[Options],
    ) -> CertificateIssued:
        """Issue a certificate to a service whose name the configuration reserves.

        The name must stand in `reserved_callsigns`, and neither a person nor an enrollment may have it. For a new key of the
        daemon, or for the key of a signing request. Certificates of the service before stay valid until they end or are
        revoked; of more than 16 the oldest is superseded. Needs the permission `/`.

        Refusals: `invalid_argument` for a name that is not reserved; `conflict` where a person, also a deleted one, or an
        enrollment has the name; `csr_mismatch`.

        - `name`: The name of the service: the CN of its certificate.
        - `csr`: A signing request in PEM.

        Needs the grant `admin`, and of an actor the permission `/` for what is not their own.
        """
        args: dict[str, Any] = {"name": name}
        if csr is not None:
            args["csr"] = csr
        return self._calls.call(CERTIFICATE_ISSUE, args, options)


class ChangesOperations:
    """The operations of the area `changes`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(
        self,
        *,
        since: int | None = None,
        limit: int | None = None,
        after: str | None = None,
        **options: Unpack[Options],
    ) -> Pages[Change]:
        """List changes, oldest first.

        - `since`: Only changes after this number.
        - `limit`: Items per page, at most 1000.
        - `after`: The `next` of the page before.

        Needs the grant `read`, and of an actor the permission `/changes/` for what is not their own.
        """
        args: dict[str, Any] = {}
        if since is not None:
            args["since"] = since
        if limit is not None:
            args["limit"] = limit
        if after is not None:
            args["after"] = after
        return self._calls.pages(CHANGES_LIST, args, options)

    def follow(
        self,
        *,
        since: int | None = None,
        **options: Unpack[Options],
    ) -> Stream[Change]:
        """Print changes as they happen, one JSON line each, until interrupted.

        - `since`: First all changes after this number, then those to come [default: only those to come].

        Needs the grant `read`, and of an actor the permission `/changes/` for what is not their own.
        """
        args: dict[str, Any] = {}
        if since is not None:
            args["since"] = since
        return self._calls.stream(CHANGES_FOLLOW, args, options)

    def head(
        self,
        **options: Unpack[Options],
    ) -> ChainHead:
        """Print the number and the MAC of the latest change, to be kept elsewhere.

        Each change has a MAC under the secret key, which covers the change before it, so the MAC of the latest one is of all of
        them. Kept where this machine can not write, it shows later with `server check --head FILE` that none of the changes up to
        it was altered, left out or added, not even by somebody who has the secret key.

        Needs the grant `read`, and of an actor the permission `/changes/` for what is not their own.
        """
        args: dict[str, Any] = {}
        return self._calls.call(CHANGES_HEAD, args, options)


class ClusterOperations:
    """The operations of the area `cluster`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def status(
        self,
        **options: Unpack[Options],
    ) -> ClusterStatus:
        """Show who shares the registry: who leads, how far each member has come, and how full etcd is.

        As the daemon that is asked saw it at its last look, a second ago at most. A registry on one host has no members.

        Needs the grant `metrics`, and of an actor the permission `/server/` for what is not their own.
        """
        args: dict[str, Any] = {}
        return self._calls.call(CLUSTER_STATUS, args, options)

    def hand_over(
        self,
        member: str | None = None,
        **options: Unpack[Options],
    ) -> str | None:
        """Let another member lead, before this host is stopped or updated.

        The daemon that leads finishes what was begun, gives its lease back and ends; started again, by systemd at once, it
        follows. The member that is named has two seconds to take over, then any may. Answers with the name of the one that
        led, or with null where nothing happens: the named member leads already, or no other one is here, as on one host.

        Refusals: `conflict` where the daemon that is asked does not lead; `not_found` where no member of this name is here.

        - `member`: The member that is to lead; without one, the first that comes.

        Needs the grant `admin`, and of an actor the permission `/server/` for what is not their own.
        """
        args: dict[str, Any] = {}
        if member is not None:
            args["member"] = member
        return self._calls.call(CLUSTER_HAND_OVER, args, options)


class CodeOperations:
    """The operations of the area `code`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        claims: Mapping[str, Any],
        *,
        audit: Mapping[str, Any] | None = None,
        expires: datetime | str | None = None,
        **options: Unpack[Options],
    ) -> CodeCreated:
        """Make a login code for these claims.

        The claims must not contain `iss`, `aud`, `iat`, `nbf`, `exp`, `jti` or `orig_iat`: the JWT gets those when it is
        made. They are at most 60 KiB, so that all of them together are an object within the bounds.

        - `claims`: The claims, a JSON object.
        - `audit`: A JSON object to keep with it.
        - `expires`: Expiry time (RFC 3339)

        Needs the grant `operate`, and of an actor the permission `/codes/` for what is not their own.
        """
        args: dict[str, Any] = {"claims": claims}
        if audit is not None:
            args["audit"] = audit
        if expires is not None:
            args["expires"] = expires
        return self._calls.call(CODE_CREATE, args, options)

    def use(
        self,
        code: str,
        *,
        audit: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> CodeUsed:
        """Exchange a login code for a JWT.

        Works once; later uses are refused as `token_reuse`, with the time and the user of the first in the details. Lower
        case, blanks and dashes do not matter. A code that does not exist counts as a guess, and guesses are limited
        (`too_many_attempts`).

        - `code`: The code.
        - `audit`: A JSON object to add to what is kept with it.

        Needs the grant `operate`, and of an actor the permission `/codes/` for what is not their own.
        """
        args: dict[str, Any] = {"code": code}
        if audit is not None:
            args["audit"] = audit
        return self._calls.call(CODE_USE, args, options)

    def get(
        self,
        code: str,
        **options: Unpack[Options],
    ) -> CodeLogin:
        """Show what a login code carries and whether it was used.

        - `code`: The code.

        Needs the grant `operate`, and of an actor the permission `/codes/` for what is not their own.
        """
        args: dict[str, Any] = {"code": code}
        return self._calls.call(CODE_GET, args, options)

    def delete(
        self,
        code: str,
        **options: Unpack[Options],
    ) -> None:
        """Refused, always: using a code is how it is revoked.

        - `code`: The code.

        Needs the grant `operate`.
        """
        args: dict[str, Any] = {"code": code}
        self._calls.call(CODE_DELETE, args, options)


class ConstantOperations:
    """The operations of the area `constant`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def set(
        self,
        list: str,
        value: str,
        *,
        label: str | None = None,
        **options: Unpack[Options],
    ) -> bool:
        """Allow a value; true if that is new.

        With its first value a list exists: from then on the field of that name in a person's extra must be one of its
        values.

        - `list`: The list, named like the field.
        - `value`: The value.
        - `label`: Label, for people.

        Needs the grant `decide`, and of an actor the permission `/constants/` for what is not their own.
        """
        args: dict[str, Any] = {"list": list, "value": value}
        if label is not None:
            args["label"] = label
        return self._calls.call(CONSTANT_SET, args, options)

    def remove(
        self,
        list: str,
        value: str,
        **options: Unpack[Options],
    ) -> bool:
        """Allow a value no longer; true if it was allowed.

        People who have it keep it. With its last value a list is gone.

        - `list`: The list.
        - `value`: The value.

        Needs the grant `decide`, and of an actor the permission `/constants/` for what is not their own.
        """
        args: dict[str, Any] = {"list": list, "value": value}
        return self._calls.call(CONSTANT_REMOVE, args, options)

    def list(
        self,
        list: str | None = None,
        **options: Unpack[Options],
    ) -> builtins.list[Constant]:
        """List the values that are allowed.

        - `list`: Only this list.

        Needs the grant `read`.
        """
        args: dict[str, Any] = {}
        if list is not None:
            args["list"] = list
        return self._calls.call(CONSTANT_LIST, args, options)


class CourseOperations:
    """The operations of the area `course`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        key: str,
        *,
        modes: Sequence[Literal["audit", "honor", "verified", "masters"] | str],
        **options: Unpack[Options],
    ) -> Course:
        """Make a course.

        A key that a course has already is a `conflict`.

        - `key`: Key of the course.
        - `modes`: A mode in which people can be enrolled in it: audit, honor, verified or masters.

        Needs the grant `operate`, and of an actor the permission `/courses/` for what is not their own.
        """
        args: dict[str, Any] = {"key": key, "modes": modes}
        return self._calls.call(COURSE_CREATE, args, options)

    def get(
        self,
        key: Reference,
        **options: Unpack[Options],
    ) -> Course:
        """Show a course.

        - `key`: The course: key or pk.

        Needs the grant `read`.
        """
        args: dict[str, Any] = {"key": key}
        return self._calls.call(COURSE_GET, args, options)

    def list(
        self,
        *,
        prefix: str | None = None,
        after: str | None = None,
        limit: int | None = None,
        **options: Unpack[Options],
    ) -> Pages[Course]:
        """List courses, oldest first, or with a prefix by key.

        - `prefix`: Only keys that begin so, without regard to case; then ordered by key.
        - `after`: The `next` of the page before.
        - `limit`: Items per page, at most 1000.

        Needs the grant `read`.
        """
        args: dict[str, Any] = {}
        if prefix is not None:
            args["prefix"] = prefix
        if after is not None:
            args["after"] = after
        if limit is not None:
            args["limit"] = limit
        return self._calls.pages(COURSE_LIST, args, options)

    def delete(
        self,
        key: Reference,
        **options: Unpack[Options],
    ) -> bool:
        """Delete a course in which nobody is enrolled; true if there was one.

        While somebody is enrolled, it is a `conflict`. Roles in it are gone with it. Program enrollments that wait for it
        may go on naming it, and fail to be linked until there is a course of that key again.

        - `key`: The course: key or pk.

        Needs the grant `operate`, and of an actor the permission `/courses/` for what is not their own.
        """
        args: dict[str, Any] = {"key": key}
        return self._calls.call(COURSE_DELETE, args, options)

    def enroll(
        self,
        course: Reference,
        person: Reference,
        mode: Literal["audit", "honor", "verified", "masters"] | str,
        **options: Unpack[Options],
    ) -> CourseEnrollment:
        """Enroll a person in a course.

        A person who is enrolled already changes to this mode. The course must offer it.

        - `course`: The course: key or pk.
        - `person`: Person: callsign or pk.
        - `mode`: audit, honor, verified or masters.

        Needs the grant `operate`, and of an actor the permission `/courses/` for what is not their own.
        """
        args: dict[str, Any] = {"course": course, "person": person, "mode": mode}
        return self._calls.call(COURSE_ENROLL, args, options)

    def unenroll(
        self,
        course: Reference,
        person: Reference,
        **options: Unpack[Options],
    ) -> CourseEnrollment:
        """Take a person out of a course.

        The enrollment stays, with its mode, and is no longer active.

        - `course`: The course: key or pk.
        - `person`: Person: callsign or pk.

        Needs the grant `operate`, and of an actor the permission `/courses/` for what is not their own.
        """
        args: dict[str, Any] = {"course": course, "person": person}
        return self._calls.call(COURSE_UNENROLL, args, options)

    def enrollments(
        self,
        *,
        course: Reference | None = None,
        person: Reference | None = None,
        after: str | None = None,
        limit: int | None = None,
        **options: Unpack[Options],
    ) -> Pages[CourseEnrollment]:
        """List enrollments in courses, active ones and ended ones.

        In the order of the courses' keys.

        - `course`: Only in this course: key or pk.
        - `person`: Only of this person: callsign or pk.
        - `after`: The `next` of the page before.
        - `limit`: Items per page, at most 1000.

        Needs the grant `read`, and of an actor the permission `/courses/` for what is not their own.
        """
        args: dict[str, Any] = {}
        if course is not None:
            args["course"] = course
        if person is not None:
            args["person"] = person
        if after is not None:
            args["after"] = after
        if limit is not None:
            args["limit"] = limit
        return self._calls.pages(COURSE_ENROLLMENTS, args, options)

    def roles(
        self,
        *,
        course: Reference | None = None,
        person: Reference | None = None,
        **options: Unpack[Options],
    ) -> builtins.list[CourseRoleHeld]:
        """List the roles that people have in courses.

        More than 1000 roles are refused as `too_large`: name a course.

        - `course`: Only in this course: key or pk.
        - `person`: Only of this person: callsign or pk.

        Needs the grant `read`, and of an actor the permission `/courses/` for what is not their own.
        """
        args: dict[str, Any] = {}
        if course is not None:
            args["course"] = course
        if person is not None:
            args["person"] = person
        return self._calls.call(COURSE_ROLES, args, options)


class EnrollmentOperations:
    """The operations of the area `enrollment`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        callsign: str,
        *,
        pool: Reference | None = None,
        extra: Mapping[str, Any] | None = None,
        csr: str | None = None,
        **options: Unpack[Options],
    ) -> Enrollment:
        """Enroll a callsign, by a pool or alone.

        Refusals: `callsign_reserved`; `pool_inactive`, `pool_exhausted`, `expired` or `deleted` for the pool;
        `csr_mismatch` where a signing request names somebody else.

        - `callsign`: The callsign to enroll.
        - `pool`: The pool, by its invite code.
        - `extra`: A JSON object to keep with it; its keys win over the pool's.
        - `csr`: A signing request in PEM.

        Needs the grant `operate`, and of an actor the permission `/enrollments/` for what is not their own.
        """
        args: dict[str, Any] = {"callsign": callsign}
        if pool is not None:
            args["pool"] = pool
        if extra is not None:
            args["extra"] = extra
        if csr is not None:
            args["csr"] = csr
        return self._calls.call(ENROLLMENT_CREATE, args, options)

    def get(
        self,
        enrollment: Reference,
        **options: Unpack[Options],
    ) -> Enrollment:
        """Show an enrollment.

        - `enrollment`: Callsign or pk.

        Needs the grant `read`, and of an actor the permission `/enrollments/` for what is not their own.
        """
        args: dict[str, Any] = {"enrollment": enrollment}
        return self._calls.call(ENROLLMENT_GET, args, options)

    def find(
        self,
        approvecode: str,
        **options: Unpack[Options],
    ) -> Enrollment:
        """Find an enrollment by its approve code.

        A code that does not exist counts as a guess, and guesses are limited (`too_many_attempts`).

        - `approvecode`: The approve code.

        Needs the grant `operate`, and of an actor the permission `/enrollments/` for what is not their own.
        """
        args: dict[str, Any] = {"approvecode": approvecode}
        return self._calls.call(ENROLLMENT_FIND, args, options)

    def list(
        self,
        *,
        pool: Reference | None = None,
        state: Literal["pending", "approved", "rejected"] | str | None = None,
        prefix: str | None = None,
        after: str | None = None,
        limit: int | None = None,
        **options: Unpack[Options],
    ) -> Pages[Enrollment]:
        """List enrollments, oldest first, or with a prefix by callsign.

        - `pool`: Only those of this pool: invite code or pk.
        - `state`: Only those in this state: pending, approved or rejected.
        - `prefix`: Only callsigns that begin so, without regard to case; then ordered by callsign.
        - `after`: The `next` of the page before.
        - `limit`: Items per page, at most 1000.

        Needs the grant `read`, and of an actor the permission `/enrollments/` for what is not their own.
        """
        args: dict[str, Any] = {}
        if pool is not None:
            args["pool"] = pool
        if state is not None:
            args["state"] = state
        if prefix is not None:
            args["prefix"] = prefix
        if after is not None:
            args["after"] = after
        if limit is not None:
            args["limit"] = limit
        return self._calls.pages(ENROLLMENT_LIST, args, options)

    def approve(
        self,
        enrollment: Reference,
        *,
        approvecode: str | None = None,
        certificate: Literal["none", "generate"] | str | Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> Person:
        """Approve an enrollment: it becomes a person.

        Only while it is pending (`already_decided`); an approve code, where one is given, must be its own (`code_mismatch`,
        which counts as a guess). A signing request that the enrollment brought gives the person a certificate, unless
        another one is asked for.

        - `enrollment`: Callsign or pk.
        - `approvecode`: The approve code, if the approver was given one.
        - `certificate`: The certificate to make with the person: none, generate, or the text of a signing request in PEM.

        Needs the grant `decide`, and of an actor the permission `/enrollments/` for what is not their own.
        """
        args: dict[str, Any] = {"enrollment": enrollment}
        if approvecode is not None:
            args["approvecode"] = approvecode
        if certificate is not None:
            args["certificate"] = certificate
        return self._calls.call(ENROLLMENT_APPROVE, args, options)

    def reject(
        self,
        enrollment: Reference,
        *,
        reason: str | None = None,
        **options: Unpack[Options],
    ) -> Enrollment:
        """Reject an enrollment; its callsign stays taken.

        - `enrollment`: Callsign or pk.
        - `reason`: The reason, for people.

        Needs the grant `decide`, and of an actor the permission `/enrollments/` for what is not their own.
        """
        args: dict[str, Any] = {"enrollment": enrollment}
        if reason is not None:
            args["reason"] = reason
        return self._calls.call(ENROLLMENT_REJECT, args, options)

    def reset_code(
        self,
        enrollment: Reference,
        **options: Unpack[Options],
    ) -> Enrollment:
        """Give an enrollment a new approve code; the old one stops working in the same instant.

        The code of an approved enrollment only says who somebody is, by enrollment.find. A rejected one gets none
        (`already_decided`, with the decision in the details): reopen it first.

        - `enrollment`: Callsign or pk.

        Needs the grant `operate`, and of an actor the permission `/enrollments/` for what is not their own.
        """
        args: dict[str, Any] = {"enrollment": enrollment}
        return self._calls.call(ENROLLMENT_RESET_CODE, args, options)

    def delete(
        self,
        enrollment: Reference,
        **options: Unpack[Options],
    ) -> None:
        """Refused, always: an enrollment can only be rejected.

        - `enrollment`: Callsign or pk.

        Needs the grant `operate`.
        """
        args: dict[str, Any] = {"enrollment": enrollment}
        self._calls.call(ENROLLMENT_DELETE, args, options)

    def reopen(
        self,
        enrollment: Reference,
        **options: Unpack[Options],
    ) -> Enrollment:
        """Put a rejected enrollment back to pending, with a new approve code.

        The decision on it is cleared; the change feed still tells of it.

        Refusals: `already_decided` for an approved one, with the decision in the details; `conflict` for a pending one.

        - `enrollment`: Callsign or pk.

        Needs the grant `decide`, and of an actor the permission `/enrollments/` for what is not their own.
        """
        args: dict[str, Any] = {"enrollment": enrollment}
        return self._calls.call(ENROLLMENT_REOPEN, args, options)

    def update(
        self,
        enrollment: Reference,
        extra: Mapping[str, Any] | None = None,
        *,
        patch: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> Enrollment:
        """Change the JSON object that is kept with an enrollment that waits.

        The object given replaces the one before. With a merge patch (RFC 7396) only its members change. One of both must be
        given. Refusals: `already_decided`.

        - `enrollment`: Callsign or pk.
        - `extra`: A JSON object to keep with it.
        - `patch`: A merge patch (RFC 7396) of the object before: null removes a member.

        Needs the grant `decide`, and of an actor the permission `/enrollments/` for what is not their own.
        """
        args: dict[str, Any] = {"enrollment": enrollment}
        if extra is not None:
            args["extra"] = extra
        if patch is not None:
            args["patch"] = patch
        return self._calls.call(ENROLLMENT_UPDATE, args, options)


class EventOperations:
    """The operations of the area `event`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        title: str,
        *,
        kind: str,
        owner: Reference | None = None,
        start: datetime | str,
        duration_minutes: int,
        max_participants: int | None = None,
        leisure: bool | None = None,
        published: bool | None = None,
        approval: Literal["none", "supervisor"] | str | None = None,
        waiting_list: bool | None = None,
        merge_time: datetime | str | None = None,
        registration_closes: datetime | str | None = None,
        unregistration_closes: datetime | str | None = None,
        pools: Sequence[NewPoolDict] | None = None,
        extra: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> Event:
        """Make an event.

        The owner is the person given, or the one on whose behalf the call is made. An event is a draft until it is
        published. A pool is a JSON object:
        {"name":"members","capacity":40,"roles":["member"],"opens":"2027-03-01T12:00:00Z"}; 0 places are any number. An
        event without pools is open to everybody.

        - `title`: Title.
        - `kind`: Kind, such as social; permissions name it.
        - `owner`: Owner: callsign or pk; the person of --as by default.
        - `start`: Start (RFC 3339)
        - `duration_minutes`: Duration in minutes.
        - `max_participants`: The most people who may take part, whatever the pools hold.
        - `leisure`: Everybody may come, without registering.
        - `published`: People may register.
        - `approval`: Approver of registrations: none or supervisor.
        - `waiting_list`: People may wait for a place (true unless said otherwise)
        - `merge_time`: Merge the places of all pools at this time (RFC 3339)
        - `registration_closes`: End of registering (RFC 3339); the start by default.
        - `unregistration_closes`: End of canceling (RFC 3339); the start by default.
        - `pools`: A pool.
        - `extra`: A JSON object to keep with it.

        Needs the grant `operate`, and of an actor the permission `/events/create/` for what is not their own.
        """
        args: dict[str, Any] = {"title": title, "kind": kind, "start": start, "duration_minutes": duration_minutes}
        if owner is not None:
            args["owner"] = owner
        if max_participants is not None:
            args["max_participants"] = max_participants
        if leisure is not None:
            args["leisure"] = leisure
        if published is not None:
            args["published"] = published
        if approval is not None:
            args["approval"] = approval
        if waiting_list is not None:
            args["waiting_list"] = waiting_list
        if merge_time is not None:
            args["merge_time"] = merge_time
        if registration_closes is not None:
            args["registration_closes"] = registration_closes
        if unregistration_closes is not None:
            args["unregistration_closes"] = unregistration_closes
        if pools is not None:
            args["pools"] = pools
        if extra is not None:
            args["extra"] = extra
        return self._calls.call(EVENT_CREATE, args, options)

    def get(
        self,
        event: Reference,
        **options: Unpack[Options],
    ) -> Event:
        """Show an event with its pools.

        On behalf of a person, a draft is `not_found` unless it is their own or they may edit it.

        - `event`: The event's pk.

        Needs the grant `read`.
        """
        args: dict[str, Any] = {"event": event}
        return self._calls.call(EVENT_GET, args, options)

    def list(
        self,
        *,
        kind: str | None = None,
        owner: Reference | None = None,
        time_state: Literal["upcoming", "current", "past"] | str | None = None,
        prefix: str | None = None,
        after: str | None = None,
        limit: int | None = None,
        **options: Unpack[Options],
    ) -> Pages[Event]:
        """List events by their start, or with a prefix by pk.

        On behalf of a person, drafts of others are left out unless that person may edit them. An event whose start is
        changed while somebody pages may come twice or not at all; follow the changes to keep a copy.

        - `kind`: Only events of this kind.
        - `owner`: Only events of this person: callsign or pk.
        - `time_state`: Only those that are upcoming, current or past.
        - `prefix`: Only pks that begin so; then ordered by pk.
        - `after`: The `next` of the page before.
        - `limit`: Items per page, at most 1000.

        Needs the grant `read`.
        """
        args: dict[str, Any] = {}
        if kind is not None:
            args["kind"] = kind
        if owner is not None:
            args["owner"] = owner
        if time_state is not None:
            args["time_state"] = time_state
        if prefix is not None:
            args["prefix"] = prefix
        if after is not None:
            args["after"] = after
        if limit is not None:
            args["limit"] = limit
        return self._calls.pages(EVENT_LIST, args, options)

    def update(
        self,
        event: Reference,
        *,
        title: str | None = None,
        kind: str | None = None,
        owner: Reference | None = None,
        start: datetime | str | None = None,
        duration_minutes: int | None = None,
        max_participants: int | Unset | None = UNSET,
        leisure: bool | None = None,
        published: bool | None = None,
        approval: Literal["none", "supervisor"] | str | None = None,
        waiting_list: bool | None = None,
        merge_time: datetime | str | Unset | None = UNSET,
        registration_closes: datetime | str | Unset | None = UNSET,
        unregistration_closes: datetime | str | Unset | None = UNSET,
        extra: Mapping[str, Any] | Unset | None = UNSET,
        patch: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> Event:
        """Change an event.

        A field that is not given stays. A field that is cleared goes back to none. People who wait are seated where the
        change makes room.

        - `event`: The event's pk.
        - `title`: Title.
        - `kind`: Kind, such as social; permissions name it.
        - `owner`: Owner: callsign or pk.
        - `start`: Start (RFC 3339)
        - `duration_minutes`: Duration in minutes.
        - `max_participants`: The most people who may take part, whatever the pools hold.
        - `leisure`: Everybody may come, without registering.
        - `published`: People may register.
        - `approval`: Approver of registrations: none or supervisor.
        - `waiting_list`: People may wait for a place.
        - `merge_time`: Merge the places of all pools at this time (RFC 3339)
        - `registration_closes`: End of registering (RFC 3339)
        - `unregistration_closes`: End of canceling (RFC 3339)
        - `extra`: A JSON object that replaces the one before.
        - `patch`: A merge patch (RFC 7396) of the object before: null removes a member.

        Needs the grant `decide`, and of an actor the permission `/events/edit/` for what is not their own.
        """
        args: dict[str, Any] = {"event": event}
        clear: list[str] = []
        if title is not None:
            args["title"] = title
        if kind is not None:
            args["kind"] = kind
        if owner is not None:
            args["owner"] = owner
        if start is not None:
            args["start"] = start
        if duration_minutes is not None:
            args["duration_minutes"] = duration_minutes
        if max_participants is None:
            clear.append("max_participants")
        elif not isinstance(max_participants, Unset):
            args["max_participants"] = max_participants
        if leisure is not None:
            args["leisure"] = leisure
        if published is not None:
            args["published"] = published
        if approval is not None:
            args["approval"] = approval
        if waiting_list is not None:
            args["waiting_list"] = waiting_list
        if merge_time is None:
            clear.append("merge_time")
        elif not isinstance(merge_time, Unset):
            args["merge_time"] = merge_time
        if registration_closes is None:
            clear.append("registration_closes")
        elif not isinstance(registration_closes, Unset):
            args["registration_closes"] = registration_closes
        if unregistration_closes is None:
            clear.append("unregistration_closes")
        elif not isinstance(unregistration_closes, Unset):
            args["unregistration_closes"] = unregistration_closes
        if extra is None:
            clear.append("extra")
        elif not isinstance(extra, Unset):
            args["extra"] = extra
        if patch is not None:
            args["patch"] = patch
        if clear:
            args["clear"] = clear
        return self._calls.call(EVENT_UPDATE, args, options)

    def publish(
        self,
        event: Reference,
        **options: Unpack[Options],
    ) -> Event:
        """Publish an event: people may register.

        - `event`: The event's pk.

        Needs the grant `decide`, and of an actor the permission `/events/edit/` for what is not their own.
        """
        args: dict[str, Any] = {"event": event}
        return self._calls.call(EVENT_PUBLISH, args, options)

    def unpublish(
        self,
        event: Reference,
        **options: Unpack[Options],
    ) -> Event:
        """Take a published event back.

        Refused while somebody holds a place or waits for one (`event_has_registrations`).

        - `event`: The event's pk.

        Needs the grant `decide`, and of an actor the permission `/events/edit/` for what is not their own.
        """
        args: dict[str, Any] = {"event": event}
        return self._calls.call(EVENT_UNPUBLISH, args, options)

    def cancel(
        self,
        event: Reference,
        **options: Unpack[Options],
    ) -> Event:
        """Call an event off, for good.

        The event must be published and have registrations (`invalid_transition` otherwise).

        - `event`: The event's pk.

        Needs the grant `decide`, and of an actor the permission `/events/edit/` for what is not their own.
        """
        args: dict[str, Any] = {"event": event}
        return self._calls.call(EVENT_CANCEL, args, options)

    def add_pool(
        self,
        event: Reference,
        name: str,
        *,
        capacity: int,
        roles: Sequence[str],
        opens: datetime | str | None = None,
        **options: Unpack[Options],
    ) -> Event:
        """Add a pool to an event.

        People who wait are seated in it. A first pool is refused while somebody has registered (`pool_has_registrations`).

        - `event`: The event's pk.
        - `name`: The pool's name, unique in its event.
        - `capacity`: Capacity in places; 0 for any number.
        - `roles`: Admit people who have this role.
        - `opens`: Opening time (RFC 3339); without one the pool is open.

        Needs the grant `decide`, and of an actor the permission `/events/edit/` for what is not their own.
        """
        args: dict[str, Any] = {"event": event, "name": name, "capacity": capacity, "roles": roles}
        if opens is not None:
            args["opens"] = opens
        return self._calls.call(EVENT_ADD_POOL, args, options)

    def update_pool(
        self,
        event: Reference,
        pool: Reference,
        *,
        name: str | None = None,
        capacity: int | None = None,
        roles: Sequence[str] | None = None,
        opens: datetime | str | None = None,
        **options: Unpack[Options],
    ) -> Event:
        """Change a pool of an event.

        A field that is not given stays. Fewer places than are taken move nobody; they only stop new ones. Roles that no
        longer fit unseat nobody.

        - `event`: The event's pk.
        - `pool`: The pool: name or pk.
        - `name`: Another name.
        - `capacity`: Capacity in places; 0 for any number.
        - `roles`: Admit people who have this role, in place of the roles before.
        - `opens`: Opening time (RFC 3339)

        Needs the grant `decide`, and of an actor the permission `/events/edit/` for what is not their own.
        """
        args: dict[str, Any] = {"event": event, "pool": pool}
        if name is not None:
            args["name"] = name
        if capacity is not None:
            args["capacity"] = capacity
        if roles is not None:
            args["roles"] = roles
        if opens is not None:
            args["opens"] = opens
        return self._calls.call(EVENT_UPDATE_POOL, args, options)

    def remove_pool(
        self,
        event: Reference,
        pool: Reference,
        **options: Unpack[Options],
    ) -> Event:
        """Remove a pool from an event.

        Refused while somebody holds a place in it, and for the last pool while somebody has registered
        (`pool_has_registrations`).

        - `event`: The event's pk.
        - `pool`: The pool: name or pk.

        Needs the grant `decide`, and of an actor the permission `/events/edit/` for what is not their own.
        """
        args: dict[str, Any] = {"event": event, "pool": pool}
        return self._calls.call(EVENT_REMOVE_POOL, args, options)


class JwtOperations:
    """The operations of the area `jwt`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def verify(
        self,
        jwt: str,
        **options: Unpack[Options],
    ) -> JsonObject:
        """Verify a JWT of this daemon and show its claims.

        Refused as `jwt_invalid` when it was not signed here, was changed, has expired, or names a deleted person.

        - `jwt`: The JWT.

        Needs the grant `read`.
        """
        args: dict[str, Any] = {"jwt": jwt}
        return self._calls.call(JWT_VERIFY, args, options)

    def keys(
        self,
        **options: Unpack[Options],
    ) -> JsonObject:
        """Show the public keys, as a JWK set, that verify this daemon's JWTs.

        Needs the grant `read`.
        """
        args: dict[str, Any] = {}
        return self._calls.call(JWT_KEYS, args, options)

    def refresh(
        self,
        jwt: str,
        **options: Unpack[Options],
    ) -> CodeExchanged:
        """Exchange a JWT of this daemon, while it is valid, for a fresh one with the same claims.

        Works until a configured time after the first one was issued. Refusals: `jwt_invalid`.

        - `jwt`: The JWT.

        Needs the grant `operate`, and of an actor the permission `/codes/` for what is not their own.
        """
        args: dict[str, Any] = {"jwt": jwt}
        return self._calls.call(JWT_REFRESH, args, options)

    def rotate(
        self,
        **options: Unpack[Options],
    ) -> JsonObject:
        """Make a new signing key, and answer all public keys as a JWK set.

        New JWTs are signed with it; those signed before still verify until they expire. Needs the permission `/`.

        Needs the grant `admin`, and of an actor the permission `/` for what is not their own.
        """
        args: dict[str, Any] = {}
        return self._calls.call(JWT_ROTATE, args, options)

    def exchange(
        self,
        jwt: str,
        *,
        audit: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> CodeExchanged:
        """Exchange a JWT of an issuer that the configuration trusts, once, for one of this daemon with the same claims.

        It must be for this daemon, have an expiry time, and bear a `nonce`, which is spent: the same JWT, or another one of
        that issuer with the same nonce, is refused as `token_reuse`. Refusals: `jwt_invalid`.

        - `jwt`: The JWT.
        - `audit`: A JSON object to keep with the nonce.

        Needs the grant `operate`, and of an actor the permission `/codes/` for what is not their own.
        """
        args: dict[str, Any] = {"jwt": jwt}
        if audit is not None:
            args["audit"] = audit
        return self._calls.call(JWT_EXCHANGE, args, options)


class PermissionOperations:
    """The operations of the area `permission`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def grant(
        self,
        role: str,
        permission: str,
        **options: Unpack[Options],
    ) -> bool:
        """Grant a role a permission.

        Answers true if the role did not have it, false if it did. Needs the permission `/`.

        - `role`: The role's name.
        - `permission`: The permission's path.

        Needs the grant `admin`, and of an actor the permission `/` for what is not their own.
        """
        args: dict[str, Any] = {"role": role, "permission": permission}
        return self._calls.call(PERMISSION_GRANT, args, options)

    def revoke(
        self,
        role: str,
        permission: str,
        **options: Unpack[Options],
    ) -> bool:
        """Take a permission from a role.

        Answers true if the role had it, false if not; permissions above it stay. Needs the permission `/`.

        - `role`: The role's name.
        - `permission`: The permission's path.

        Needs the grant `admin`, and of an actor the permission `/` for what is not their own.
        """
        args: dict[str, Any] = {"role": role, "permission": permission}
        return self._calls.call(PERMISSION_REVOKE, args, options)

    def has(
        self,
        person: Reference,
        permission: str,
        **options: Unpack[Options],
    ) -> bool:
        """Tell whether a person has a permission.

        - `person`: Callsign or pk.
        - `permission`: The permission's path.

        Needs the grant `read`, and of an actor the permission `/roles/` for what is not their own.
        """
        args: dict[str, Any] = {"person": person, "permission": permission}
        return self._calls.call(PERMISSION_HAS, args, options)

    def list(
        self,
        *,
        role: str | None = None,
        **options: Unpack[Options],
    ) -> builtins.list[PermissionGranted]:
        """List the permissions that roles carry.

        - `role`: Only permissions of this role.

        Needs the grant `read`, and of an actor the permission `/roles/` for what is not their own.
        """
        args: dict[str, Any] = {}
        if role is not None:
            args["role"] = role
        return self._calls.call(PERMISSION_LIST, args, options)


class PersonOperations:
    """The operations of the area `person`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        callsign: str,
        *,
        extra: Mapping[str, Any] | None = None,
        roles: Sequence[str] | None = None,
        certificate: Literal["none", "generate"] | str | Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> Person:
        """Create a person.

        The callsign is unique without regard to case, among deleted people too. Giving roles needs every permission that
        they carry, and the right to decide.

        Refusals: `callsign_reserved`; `csr_mismatch` where a signing request names somebody else; `expired` for a
        certificate of an authority that has expired.

        - `callsign`: The person's callsign.
        - `extra`: A JSON object to keep with the person.
        - `roles`: A role to give at once.
        - `certificate`: The certificate to make with the person: none, generate, or the text of a signing request in PEM.

        Needs the grant `operate`, and of an actor the permission `/people/` for what is not their own.
        """
        args: dict[str, Any] = {"callsign": callsign}
        if extra is not None:
            args["extra"] = extra
        if roles is not None:
            args["roles"] = roles
        if certificate is not None:
            args["certificate"] = certificate
        return self._calls.call(PERSON_CREATE, args, options)

    def get(
        self,
        person: Reference,
        *,
        allow_deleted: bool = False,
        **options: Unpack[Options],
    ) -> Person:
        """Show a person.

        - `person`: Callsign or pk.
        - `allow_deleted`: Also show a deleted person.

        Needs the grant `read`, and of an actor the permission `/people/` for what is not their own.
        """
        args: dict[str, Any] = {"person": person, "allow_deleted": allow_deleted}
        return self._calls.call(PERSON_GET, args, options)

    def list(
        self,
        *,
        role: str | None = None,
        prefix: str | None = None,
        include_deleted: bool = False,
        deleted_only: bool = False,
        after: str | None = None,
        limit: int | None = None,
        **options: Unpack[Options],
    ) -> Pages[Person]:
        """List people, oldest first, or with a prefix by callsign.

        - `role`: Only people who have this role.
        - `prefix`: Only callsigns that begin so, without regard to case; then ordered by callsign.
        - `include_deleted`: Deleted people too.
        - `deleted_only`: Only deleted people, with include_deleted or without; none of them has a role.
        - `after`: The `next` of the page before.
        - `limit`: Items per page, at most 1000.

        Needs the grant `read`, and of an actor the permission `/people/` for what is not their own.
        """
        args: dict[str, Any] = {"include_deleted": include_deleted, "deleted_only": deleted_only}
        if role is not None:
            args["role"] = role
        if prefix is not None:
            args["prefix"] = prefix
        if after is not None:
            args["after"] = after
        if limit is not None:
            args["limit"] = limit
        return self._calls.pages(PERSON_LIST, args, options)

    def find(
        self,
        claims: Mapping[str, Any],
        *,
        allow_deleted: bool = False,
        **options: Unpack[Options],
    ) -> Person:
        """Find a person by verified claims or the subject of a client certificate.

        The claim `sub` names a callsign, or where there is none, `CN` does.

        - `claims`: The claims, a JSON object.
        - `allow_deleted`: Also show a deleted person.

        Needs the grant `read`, and of an actor the permission `/people/` for what is not their own.
        """
        args: dict[str, Any] = {"claims": claims, "allow_deleted": allow_deleted}
        return self._calls.call(PERSON_FIND, args, options)

    def update(
        self,
        person: Reference,
        extra: Mapping[str, Any] | None = None,
        *,
        patch: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> Person:
        """Change the JSON object that is kept with a person.

        The object given replaces the one before. With a merge patch (RFC 7396) only its members change. One of both must be
        given.

        - `person`: Callsign or pk.
        - `extra`: A JSON object to keep with the person.
        - `patch`: A merge patch (RFC 7396) of the object before: null removes a member.

        Needs the grant `decide`, and of an actor the permission `/people/` for what is not their own.
        """
        args: dict[str, Any] = {"person": person}
        if extra is not None:
            args["extra"] = extra
        if patch is not None:
            args["patch"] = patch
        return self._calls.call(PERSON_UPDATE, args, options)

    def delete(
        self,
        person: Reference,
        **options: Unpack[Options],
    ) -> Person:
        """Delete a person.

        The record stays and keeps its callsign; the person loses every role and passes no check any more.

        - `person`: Callsign or pk.

        Needs the grant `decide`, and of an actor the permission `/people/` for what is not their own.
        """
        args: dict[str, Any] = {"person": person}
        return self._calls.call(PERSON_DELETE, args, options)

    def revoke(
        self,
        person: Reference,
        reason: Literal["unspecified", "key_compromise", "affiliation_changed", "superseded", "cessation_of_operation", "privilege_withdrawn"] | str,
        **options: Unpack[Options],
    ) -> Person:
        """Revoke a person: delete them, with a reason of RFC 5280.

        - `person`: Callsign or pk.
        - `reason`: unspecified, key_compromise, affiliation_changed, superseded, cessation_of_operation or privilege_withdrawn.

        Needs the grant `decide`, and of an actor the permission `/people/` for what is not their own.
        """
        args: dict[str, Any] = {"person": person, "reason": reason}
        return self._calls.call(PERSON_REVOKE, args, options)

    def restore(
        self,
        person: Reference,
        **options: Unpack[Options],
    ) -> Person:
        """Restore a deleted person.

        It undoes person.delete, also that of a person who had a certificate, and never person.revoke. Roles, supervisors,
        representatives, places and certificates do not come back, and the person's invite pools come back inactive. JWTs
        issued and login codes made before stay refused.

        Refusals: `conflict` for a person who is not deleted, or who was revoked; `callsign_reserved` where the
        configuration reserves the callsign by now.

        - `person`: Callsign or pk.

        Needs the grant `admin`, and of an actor the permission `/people/` for what is not their own.
        """
        args: dict[str, Any] = {"person": person}
        return self._calls.call(PERSON_RESTORE, args, options)

    def erase(
        self,
        person: Reference,
        **options: Unpack[Options],
    ) -> Person:
        """Erase the data of a deleted person, for good.

        Callsign, extra and the texts of reasons are replaced wherever they are kept: in the person, the enrollment, the
        registrations, certificates, external keys, login codes, what is attached to tokens, and kept answers. The record, its
        pk and the changes that name it stay, so everything that was counted still counts. The callsign is kept as a keyed hash
        and is nobody's again. Older backups still have what was erased.

        Refusals: `conflict` for a person who is not deleted, or who was erased before.

        - `person`: Callsign or pk.

        Needs the grant `admin`, and of an actor the permission `/` for what is not their own.
        """
        args: dict[str, Any] = {"person": person}
        return self._calls.call(PERSON_ERASE, args, options)


class PoolOperations:
    """The operations of the area `pool`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        *,
        owner: Reference | None = None,
        extra: Mapping[str, Any] | None = None,
        max_uses: int | None = None,
        expires: datetime | str | None = None,
        invitecode: str | None = None,
        **options: Unpack[Options],
    ) -> Pool:
        """Make an invite pool.

        The owner is the person given, or the one on whose behalf the call is made. An invite code of one's own needs a peer
        with the grant `admin`, and an actor the permission `/pools/`. It is read as a typed code is.

        Refusals: `conflict` where a live pool has that code; `code_exhausted`.

        - `owner`: Owner: callsign or pk; the person of --as by default.
        - `extra`: A JSON object that every enrollment by it begins with.
        - `max_uses`: The most enrollments by it.
        - `expires`: Expiry time (RFC 3339)
        - `invitecode`: An invite code of one's own, 8 to 64 of A-Z and 0-9, for printed codes.

        Needs the grant `operate`, and of an actor the permission `/pools/` for what is not their own.
        """
        args: dict[str, Any] = {}
        if owner is not None:
            args["owner"] = owner
        if extra is not None:
            args["extra"] = extra
        if max_uses is not None:
            args["max_uses"] = max_uses
        if expires is not None:
            args["expires"] = expires
        if invitecode is not None:
            args["invitecode"] = invitecode
        return self._calls.call(POOL_CREATE, args, options)

    def get(
        self,
        pool: Reference,
        *,
        allow_deleted: bool = False,
        **options: Unpack[Options],
    ) -> Pool:
        """Show an invite pool.

        - `pool`: Invite code or pk.
        - `allow_deleted`: Also show a deleted pool.

        Needs the grant `read`, and of an actor the permission `/pools/` for what is not their own.
        """
        args: dict[str, Any] = {"pool": pool, "allow_deleted": allow_deleted}
        return self._calls.call(POOL_GET, args, options)

    def list(
        self,
        *,
        owner: Reference | None = None,
        prefix: str | None = None,
        include_deleted: bool = False,
        deleted_only: bool = False,
        after: str | None = None,
        limit: int | None = None,
        **options: Unpack[Options],
    ) -> Pages[Pool]:
        """List invite pools, oldest first.

        - `owner`: Only pools of this person: callsign or pk.
        - `prefix`: Only pks that begin so.
        - `include_deleted`: Deleted pools too.
        - `deleted_only`: Only deleted pools, with include_deleted or without.
        - `after`: The `next` of the page before.
        - `limit`: Items per page, at most 1000.

        Needs the grant `read`, and of an actor the permission `/pools/` for what is not their own.
        """
        args: dict[str, Any] = {"include_deleted": include_deleted, "deleted_only": deleted_only}
        if owner is not None:
            args["owner"] = owner
        if prefix is not None:
            args["prefix"] = prefix
        if after is not None:
            args["after"] = after
        if limit is not None:
            args["limit"] = limit
        return self._calls.pages(POOL_LIST, args, options)

    def update(
        self,
        pool: Reference,
        *,
        extra: Mapping[str, Any] | Unset | None = UNSET,
        patch: Mapping[str, Any] | None = None,
        max_uses: int | Unset | None = UNSET,
        expires: datetime | str | Unset | None = UNSET,
        **options: Unpack[Options],
    ) -> Pool:
        """Change an invite pool.

        A field that is not given stays. A field that is cleared goes back to none.

        - `pool`: Invite code or pk.
        - `extra`: A JSON object that replaces the one before.
        - `patch`: A merge patch (RFC 7396) of the object before: null removes a member.
        - `max_uses`: The most enrollments by it.
        - `expires`: Expiry time (RFC 3339)

        Needs the grant `operate`, and of an actor the permission `/pools/` for what is not their own.
        """
        args: dict[str, Any] = {"pool": pool}
        clear: list[str] = []
        if extra is None:
            clear.append("extra")
        elif not isinstance(extra, Unset):
            args["extra"] = extra
        if patch is not None:
            args["patch"] = patch
        if max_uses is None:
            clear.append("max_uses")
        elif not isinstance(max_uses, Unset):
            args["max_uses"] = max_uses
        if expires is None:
            clear.append("expires")
        elif not isinstance(expires, Unset):
            args["expires"] = expires
        if clear:
            args["clear"] = clear
        return self._calls.call(POOL_UPDATE, args, options)

    def set_active(
        self,
        pool: Reference,
        active: bool,
        **options: Unpack[Options],
    ) -> Pool:
        """Activate an invite pool, or deactivate it.

        While it is not active nobody enrolls by it; enrollments so far stay.

        - `pool`: Invite code or pk.
        - `active`: true or false.

        Needs the grant `operate`, and of an actor the permission `/pools/` for what is not their own.
        """
        args: dict[str, Any] = {"pool": pool, "active": active}
        return self._calls.call(POOL_SET_ACTIVE, args, options)

    def reset_code(
        self,
        pool: Reference,
        *,
        invitecode: str | None = None,
        **options: Unpack[Options],
    ) -> Pool:
        """Give an invite pool a new code; the old one stops working in the same instant.

        A code of one's own needs a peer with the grant `admin`, and an actor the permission `/pools/`. It is read as a
        typed code is.

        Refusals: `conflict` where a live pool has that code, this one too; `code_exhausted`.

        - `pool`: Invite code or pk.
        - `invitecode`: The new code, 8 to 64 of A-Z and 0-9; one is drawn by default.

        Needs the grant `operate`, and of an actor the permission `/pools/` for what is not their own.
        """
        args: dict[str, Any] = {"pool": pool}
        if invitecode is not None:
            args["invitecode"] = invitecode
        return self._calls.call(POOL_RESET_CODE, args, options)

    def delete(
        self,
        pool: Reference,
        **options: Unpack[Options],
    ) -> Pool:
        """Delete an invite pool; enrollments by it stay.

        - `pool`: Invite code or pk.

        Needs the grant `operate`, and of an actor the permission `/pools/` for what is not their own.
        """
        args: dict[str, Any] = {"pool": pool}
        return self._calls.call(POOL_DELETE, args, options)

    def check(
        self,
        invitecode: str,
        **options: Unpack[Options],
    ) -> bool:
        """Tell whether somebody could enroll by this invite code right now.

        A code that does not exist counts as a guess, and guesses are limited (`too_many_attempts`).

        - `invitecode`: The invite code.

        Needs the grant `operate`.
        """
        args: dict[str, Any] = {"invitecode": invitecode}
        return self._calls.call(POOL_CHECK, args, options)


class ProgramOperations:
    """The operations of the area `program`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def enroll(
        self,
        program: str,
        *,
        create: bool = False,
        update: bool = False,
        enrollments: Sequence[EnrollmentUnitDict],
        **options: Unpack[Options],
    ) -> dict[str, str]:
        """Enroll external keys in a program.

        Answers each key's new status, or the word for a failure: duplicated, invalid-status, conflict (it is enrolled
        already, and this does not update; or the person is in the program by another key), not-in-program (it is not, and
        this does not create), not-found (no such person).

        - `program`: The program, a UUID.
        - `create`: Enroll keys that are not in the program.
        - `update`: Change keys that are.
        - `enrollments`: An external key, its curriculum, its status (enrolled, pending, suspended, canceled or ended) and its person.

        Needs the grant `operate`, and of an actor the permission `/programs/` for what is not their own.
        """
        args: dict[str, Any] = {"program": program, "create": create, "update": update, "enrollments": enrollments}
        return self._calls.call(PROGRAM_ENROLL, args, options)

    def enroll_course(
        self,
        program: str,
        course: Reference,
        *,
        create: bool = False,
        update: bool = False,
        enrollments: Sequence[CourseUnitDict],
        **options: Unpack[Options],
    ) -> dict[str, str]:
        """Enroll external keys of a program in a course.

        A key that is linked enrolls its person at once, another one when it is linked. Answers each key's new status, or
        the word for a failure: duplicated, invalid-status, conflict (it is in the course already, and this does not update;
        or its person can not be enrolled), not-in-program, not-found (it is not in the course, and this does not create).

        - `program`: The program, a UUID.
        - `course`: The course: key or pk.
        - `create`: Enroll keys that are not in the course.
        - `update`: Change keys that are.
        - `enrollments`: An external key and its status (active or inactive)

        Needs the grant `operate`, and of an actor the permission `/programs/` for what is not their own.
        """
        args: dict[str, Any] = {"program": program, "course": course, "create": create, "update": update, "enrollments": enrollments}
        return self._calls.call(PROGRAM_ENROLL_COURSE, args, options)

    def assign_course_role(
        self,
        program: str,
        external_key: str,
        course: Reference,
        role: Literal["staff"] | str,
        **options: Unpack[Options],
    ) -> bool:
        """Give an external key a role in a course; true if that is new.

        The role waits until the key is linked. A key that is linked gives it to its person at once.

        - `program`: The program, a UUID.
        - `external_key`: The external key, in any case.
        - `course`: The course: key or pk.
        - `role`: The role: staff.

        Needs the grant `decide`, and of an actor the permission `/programs/` for what is not their own.
        """
        args: dict[str, Any] = {"program": program, "external_key": external_key, "course": course, "role": role}
        return self._calls.call(PROGRAM_ASSIGN_COURSE_ROLE, args, options)

    def link(
        self,
        program: str,
        *,
        links: Mapping[str, Reference],
        **options: Unpack[Options],
    ) -> dict[str, ProgramFailure]:
        """Link external keys of a program to people.

        Each pair is done whole or not at all, in the order given: a person taken from one key may be given a later one. The
        key's course enrollments are made for its person, and then its roles in courses. A key that is linked to somebody
        else is first unlinked from them. Answers the keys that failed, and in a dry run also those that would be moved
        (would_move).

        - `program`: The program, a UUID.
        - `links`: An external key and its person, callsign or pk.

        Needs the grant `operate`, and of an actor the permission `/programs/` for what is not their own.
        """
        args: dict[str, Any] = {"program": program, "links": links}
        return self._calls.call(PROGRAM_LINK, args, options)

    def unlink(
        self,
        program: str,
        external_keys: Sequence[str],
        **options: Unpack[Options],
    ) -> dict[str, ProgramFailure]:
        """Unlink external keys of a program from their people.

        Each key is done whole or not at all: its person's course enrollments under it become inactive, move to audit where
        the course has that mode, and are cut from the program; roles in courses that the link gave are taken back and wait
        again. Answers the keys that failed.

        - `program`: The program, a UUID.
        - `external_keys`: The external keys, in any case.

        Needs the grant `operate`, and of an actor the permission `/programs/` for what is not their own.
        """
        args: dict[str, Any] = {"program": program, "external_keys": external_keys}
        return self._calls.call(PROGRAM_UNLINK, args, options)

    def enrollments(
        self,
        program: str,
        *,
        external_key: str | None = None,
        person: Reference | None = None,
        linked: bool | None = None,
        after: str | None = None,
        limit: int | None = None,
        **options: Unpack[Options],
    ) -> Pages[ProgramEnrollment]:
        """List the enrollments of a program, oldest first.

        - `program`: The program, a UUID.
        - `external_key`: Only of this external key, in any case.
        - `person`: Only of this person: callsign or pk.
        - `linked`: Only those that are linked, or that wait.
        - `after`: The `next` of the page before.
        - `limit`: Items per page, at most 1000.

        Needs the grant `read`, and of an actor the permission `/programs/` for what is not their own.
        """
        args: dict[str, Any] = {"program": program}
        if external_key is not None:
            args["external_key"] = external_key
        if person is not None:
            args["person"] = person
        if linked is not None:
            args["linked"] = linked
        if after is not None:
            args["after"] = after
        if limit is not None:
            args["limit"] = limit
        return self._calls.pages(PROGRAM_ENROLLMENTS, args, options)


class RegistrationOperations:
    """The operations of the area `registration`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        event: Reference,
        person: Reference,
        **options: Unpack[Options],
    ) -> Registration:
        """Register a person for an event.

        Gives them the best free place, or a position in the waiting list.

        Refusals, in this order: `registration_not_required`, `event_not_published`, `event_canceled`, `event_past`,
        `registration_closed`, `already_registered`, `no_permission`, `registration_not_open`, `no_free_slots`.

        - `event`: The event's pk.
        - `person`: Callsign or pk.

        Needs the grant `operate`, and of an actor the permission `/registrations/` for what is not their own.
        """
        args: dict[str, Any] = {"event": event, "person": person}
        return self._calls.call(REGISTRATION_CREATE, args, options)

    def cancel(
        self,
        event: Reference,
        person: Reference,
        **options: Unpack[Options],
    ) -> Registration:
        """Cancel a registration; its place goes to the next person who waits.

        Refused after the event's end of canceling (`registration_closed`). A person who only waits may leave the waiting
        list at any time before the event is over.

        - `event`: The event's pk.
        - `person`: Callsign or pk.

        Needs the grant `operate`, and of an actor the permission `/registrations/` for what is not their own.
        """
        args: dict[str, Any] = {"event": event, "person": person}
        return self._calls.call(REGISTRATION_CANCEL, args, options)

    def get(
        self,
        event: Reference,
        person: Reference,
        **options: Unpack[Options],
    ) -> Registration:
        """Show a registration.

        - `event`: The event's pk.
        - `person`: Callsign or pk.

        Needs the grant `read`, and of an actor the permission `/registrations/` for what is not their own.
        """
        args: dict[str, Any] = {"event": event, "person": person}
        return self._calls.call(REGISTRATION_GET, args, options)

    def list(
        self,
        *,
        event: Reference | None = None,
        person: Reference | None = None,
        waiting: bool | None = None,
        approval: Literal["not_required", "pending", "approved", "rejected"] | str | None = None,
        after: str | None = None,
        limit: int | None = None,
        **options: Unpack[Options],
    ) -> Pages[Registration]:
        """List registrations in the order they were made.

        - `event`: Only those for this event: pk.
        - `person`: Only those of this person: callsign or pk.
        - `waiting`: Only those that wait (in the order of the waiting list), or only those that do not.
        - `approval`: Only those of this approval: not_required, pending, approved or rejected.
        - `after`: The `next` of the page before.
        - `limit`: Items per page, at most 1000.

        Needs the grant `read`, and of an actor the permission `/registrations/` for what is not their own.
        """
        args: dict[str, Any] = {}
        if event is not None:
            args["event"] = event
        if person is not None:
            args["person"] = person
        if waiting is not None:
            args["waiting"] = waiting
        if approval is not None:
            args["approval"] = approval
        if after is not None:
            args["after"] = after
        if limit is not None:
            args["limit"] = limit
        return self._calls.pages(REGISTRATION_LIST, args, options)

    def approve(
        self,
        event: Reference,
        person: Reference,
        *,
        reason: str | None = None,
        **options: Unpack[Options],
    ) -> Registration:
        """Approve a registration, or take its rejection back.

        Taking a rejection back needs a free place (`no_free_slots`).

        - `event`: The event's pk.
        - `person`: Callsign or pk.
        - `reason`: The reason, for people.

        Needs the grant `decide`, and of an actor the permission `/registrations/approve/` for what is not their own.
        """
        args: dict[str, Any] = {"event": event, "person": person}
        if reason is not None:
            args["reason"] = reason
        return self._calls.call(REGISTRATION_APPROVE, args, options)

    def reject(
        self,
        event: Reference,
        person: Reference,
        *,
        reason: str | None = None,
        **options: Unpack[Options],
    ) -> Registration:
        """Reject a registration; its place goes to the next person who waits.

        - `event`: The event's pk.
        - `person`: Callsign or pk.
        - `reason`: The reason, for people.

        Needs the grant `decide`, and of an actor the permission `/registrations/approve/` for what is not their own.
        """
        args: dict[str, Any] = {"event": event, "person": person}
        if reason is not None:
            args["reason"] = reason
        return self._calls.call(REGISTRATION_REJECT, args, options)

    def explain(
        self,
        event: Reference,
        person: Reference,
        **options: Unpack[Options],
    ) -> Explanation:
        """Tell the outcome that registering now would have, and the reasons.

        The same decision as `registration create`, and nothing is written.

        - `event`: The event's pk.
        - `person`: Callsign or pk.

        Needs the grant `read`, and of an actor the permission `/registrations/` for what is not their own.
        """
        args: dict[str, Any] = {"event": event, "person": person}
        return self._calls.call(REGISTRATION_EXPLAIN, args, options)

    def place(
        self,
        event: Reference,
        person: Reference,
        *,
        pool: Reference | None = None,
        position: int | None = None,
        reason: str,
        **options: Unpack[Options],
    ) -> Registration:
        """Place a person by hand, in a place or at a position of the waiting list.

        Also after the deadline, without a role, and beyond a capacity or maximum. A place by hand counts as taken and is
        never moved by a rebalance. The place that a person had before goes to the next person who waits. Without `pool` and
        `position` it is a place in the pool that suits the person best.

        Refusals, in this order: `registration_not_required`, `event_not_published`, `event_canceled`, `event_past`,
        `permission_denied` (a rejected registration; approve it first), `conflict` (in that place already).

        - `event`: The event's pk.
        - `person`: Callsign or pk.
        - `pool`: A place in this pool: name or pk.
        - `position`: A position in the waiting list, from 1; past its end is its end.
        - `reason`: The reason, for people.

        Needs the grant `decide`, and of an actor the permission `/registrations/` for what is not their own.
        """
        args: dict[str, Any] = {"event": event, "person": person, "reason": reason}
        if pool is not None:
            args["pool"] = pool
        if position is not None:
            args["position"] = position
        return self._calls.call(REGISTRATION_PLACE, args, options)


class RoleOperations:
    """The operations of the area `role`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def assign(
        self,
        person: Reference,
        role: str,
        **options: Unpack[Options],
    ) -> bool:
        """Give a person a role.

        Answers true if the person did not have it, false if they did. The actor needs every permission that the role
        carries.

        - `person`: Callsign or pk.
        - `role`: The role's name.

        Needs the grant `decide`, and of an actor the permission `/roles/` for what is not their own.
        """
        args: dict[str, Any] = {"person": person, "role": role}
        return self._calls.call(ROLE_ASSIGN, args, options)

    def remove(
        self,
        person: Reference,
        role: str,
        **options: Unpack[Options],
    ) -> bool:
        """Take a role from a person.

        Answers true if the person had it, false if not.

        - `person`: Callsign or pk.
        - `role`: The role's name.

        Needs the grant `decide`, and of an actor the permission `/roles/` for what is not their own.
        """
        args: dict[str, Any] = {"person": person, "role": role}
        return self._calls.call(ROLE_REMOVE, args, options)

    def has(
        self,
        person: Reference,
        role: str,
        *,
        allow_deleted: bool = False,
        **options: Unpack[Options],
    ) -> bool:
        """Tell whether a person has a role.

        A deleted person has none.

        - `person`: Callsign or pk.
        - `role`: The role's name.
        - `allow_deleted`: Answer false for a deleted person, instead of `deleted`

        Needs the grant `read`, and of an actor the permission `/roles/` for what is not their own.
        """
        args: dict[str, Any] = {"person": person, "role": role, "allow_deleted": allow_deleted}
        return self._calls.call(ROLE_HAS, args, options)

    def list(
        self,
        person: Reference | None = None,
        *,
        prefix: str | None = None,
        allow_deleted: bool = False,
        **options: Unpack[Options],
    ) -> builtins.list[str]:
        """List a person's roles, or without a person those that there are.

        A deleted person has none. Without a person, the first 1000 names of roles that somebody has or that carry a
        permission.

        - `person`: Callsign or pk.
        - `prefix`: Only names that begin so.
        - `allow_deleted`: Answer an empty list for a deleted person, instead of `deleted`

        Needs the grant `read`, and of an actor the permission `/roles/` for what is not their own.
        """
        args: dict[str, Any] = {"allow_deleted": allow_deleted}
        if person is not None:
            args["person"] = person
        if prefix is not None:
            args["prefix"] = prefix
        return self._calls.call(ROLE_LIST, args, options)


class ServerOperations:
    """The operations of the area `server`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def status(
        self,
        **options: Unpack[Options],
    ) -> DaemonStatus:
        """Show what is wrong, who waits for a decision, and how the daemon does.

        On a terminal it is one screen: what is wrong comes first, with the command that mends it, then who waits, then
        sizes, rates and where things lie. In a pipe and as JSON it is the whole record. The exit code is 1 if something is wrong.

        `doctor` looks at the machine around the daemon, too, and works without one.

        Needs the grant `metrics`, and of an actor the permission `/server/` for what is not their own.
        """
        args: dict[str, Any] = {}
        return self._calls.call(SERVER_STATUS, args, options)

    def check(
        self,
        head: KeptHeadDict | None = None,
        **options: Unpack[Options],
    ) -> builtins.list[Violation]:
        """Check every rule that holds across records, on a snapshot.

        Lists what is wrong; an empty list means the registry is sound. With a head that `changes head` printed before it also
        tells whether the changes up to that one are still those of then.

        Refusals: `expired` where the change of that head is no longer kept: compare with a later head.

        - `head`: A head of the changes that was kept elsewhere.

        Needs the grant `read`, and of an actor the permission `/server/` for what is not their own.
        """
        args: dict[str, Any] = {}
        if head is not None:
            args["head"] = head
        return self._calls.call(SERVER_CHECK, args, options)

    def metrics(
        self,
        **options: Unpack[Options],
    ) -> str:
        """Print the metrics, in the OpenMetrics format.

        Operations by name and outcome with their latencies, refusals by code, batches, commits, queue, connections,
        streams, records by kind, and the size of the database. Counts begin when the daemon starts. Of what ends or waits
        they tell the time, not how long that is ahead or ago.

        Needs the grant `metrics`, and of an actor the permission `/server/` for what is not their own.
        """
        args: dict[str, Any] = {}
        return self._calls.call(SERVER_METRICS, args, options)

    def backup(
        self,
        **options: Unpack[Options],
    ) -> Stream[str]:
        """Write a backup of everything, as of one moment, while the daemon runs.

        The backup is checked while it is written and gets its name when it is whole; a file that is there already is left
        alone. It holds no secret key: keep a copy of that, too, in another place. `enrolld restore` makes a database of it.

        Needs the grant `admin`, and of an actor the permission `/` for what is not their own.
        """
        args: dict[str, Any] = {}
        return self._calls.walk(SERVER_BACKUP, args, options)

    def export(
        self,
        *,
        with_secrets: bool = False,
        **options: Unpack[Options],
    ) -> Stream[str]:
        """Write everything as lines of JSON, as of one moment, while the daemon runs.

        One record a line: {"record":KIND,"key":{..},"value":{..}}, records before those that refer to them, between a
        header line and a trailer line that says that the file is whole. `enrollctl server import` reads it into an empty
        registry.

        WITHOUT --with-secrets the hashes of spent tokens and login codes, signing keys, the authority, certificates and
        answers kept under idempotency keys are left out. A registry that is made of such a file KNOWS NO SPENT TOKEN: every
        one of them can be used again. Its login codes and JWTs are no longer valid, it has an authority of its own, and
        nobody in it has a certificate. Invite codes and approve codes are in every export: keep it where others can not
        read it.

        With --with-secrets everything is there; hashes and keys as they are stored, under the secret key, which is not in
        the file: the registry that imports it needs the same one.

        - `with_secrets`: Everything: hashes, keys, certificates and kept answers too.

        Needs the grant `admin`, and of an actor the permission `/` for what is not their own.
        """
        args: dict[str, Any] = {"with_secrets": with_secrets}
        return self._calls.walk(SERVER_EXPORT, args, options)

    def import_(
        self,
        at: int,
        text: str,
        **options: Unpack[Options],
    ) -> ServerImported:
        """Read an export into an empty registry.

        Empty is what a daemon makes when it first starts. From the first piece on until the whole file is read and every
        rule holds, everybody else's writes are refused with `conflict`. An import that was interrupted, or found a bad
        line, is begun again with the whole file: what was read of it is removed first.

        A file with secrets needs the secret key that it was exported under; one without them makes a registry that KNOWS NO
        SPENT TOKEN. See the help of `server export`.

        Refusals: `conflict` where the registry is not empty, where the secret key or the authority is another one, and
        where a rule does not hold at the end; `invalid_argument` for a line, with its number.

        - `at`: Offset of this piece in the file, in bytes; 0 begins.
        - `text`: The next piece of the file, cut anywhere. The first one holds the whole first line; an empty one ends the file.

        Needs the grant `admin`, and of an actor the permission `/` for what is not their own.
        """
        args: dict[str, Any] = {"at": at, "text": text}
        return self._calls.call(SERVER_IMPORT, args, options)

    def accept_clock(
        self,
        **options: Unpack[Options],
    ) -> DaemonStatus:
        """Accept the system's clock, after a start that doubted it.

        A daemon that finds at its start that the clock is more than 30 days ahead of the latest change, and that the kernel
        does not call the clock synchronised, opens no event pool, merges none and sweeps nothing: none of that could be
        undone. Reads and writes go on. `server status` warns of it, with both times.

        If the clock is wrong, set it right: then it is no longer doubted, and this is not needed. If it is right, accept
        it. While nothing is doubted this changes nothing.

        An authority that was made while the clock was ahead begins in the future. Accept the clock that is right now, and
        the next start makes another certificate for the same key; a clock that the kernel calls synchronised needs no
        accepting.

        Needs the grant `admin`, and of an actor the permission `/server/` for what is not their own.
        """
        args: dict[str, Any] = {}
        return self._calls.call(SERVER_ACCEPT_CLOCK, args, options)

    def snapshot(
        self,
        **options: Unpack[Options],
    ) -> DaemonSnapshot:
        """Show what a live screen shows: counts since the start, who waits, and the fullest pools.

        `enrollctl top` asks it each second. Rates and percentiles are differences of two answers. A peer with the grant
        `metrics` alone gets the figures, and null in place of enrollments, pools and events; so does an actor without the
        permission to list them.

        Needs the grant `metrics`, and of an actor the permission `/server/` for what is not their own.
        """
        args: dict[str, Any] = {}
        return self._calls.call(SERVER_SNAPSHOT, args, options)


class SupervisorOperations:
    """The operations of the area `supervisor`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def assign(
        self,
        person: Reference,
        supervisor: Reference,
        **options: Unpack[Options],
    ) -> Person:
        """Set a person's supervisor, who decides on their registrations.

        - `person`: Callsign or pk.
        - `supervisor`: The supervisor: callsign or pk.

        Needs the grant `decide`, and of an actor the permission `/supervisors/` for what is not their own.
        """
        args: dict[str, Any] = {"person": person, "supervisor": supervisor}
        return self._calls.call(SUPERVISOR_ASSIGN, args, options)

    def unassign(
        self,
        person: Reference,
        **options: Unpack[Options],
    ) -> Person:
        """Leave a person without a supervisor.

        - `person`: Callsign or pk.

        Needs the grant `decide`, and of an actor the permission `/supervisors/` for what is not their own.
        """
        args: dict[str, Any] = {"person": person}
        return self._calls.call(SUPERVISOR_UNASSIGN, args, options)

    def add_representative(
        self,
        supervisor: Reference,
        representative: Reference,
        **options: Unpack[Options],
    ) -> bool:
        """Let another supervisor decide in a supervisor's stead; true if that is new.

        - `supervisor`: The supervisor: callsign or pk.
        - `representative`: The representative: callsign or pk.

        Needs the grant `decide`, and of an actor the permission `/supervisors/` for what is not their own.
        """
        args: dict[str, Any] = {"supervisor": supervisor, "representative": representative}
        return self._calls.call(SUPERVISOR_ADD_REPRESENTATIVE, args, options)

    def remove_representative(
        self,
        supervisor: Reference,
        representative: Reference,
        **options: Unpack[Options],
    ) -> bool:
        """Let somebody no longer decide in a supervisor's stead; true if they did.

        - `supervisor`: The supervisor: callsign or pk.
        - `representative`: The representative: callsign or pk.

        Needs the grant `decide`, and of an actor the permission `/supervisors/` for what is not their own.
        """
        args: dict[str, Any] = {"supervisor": supervisor, "representative": representative}
        return self._calls.call(SUPERVISOR_REMOVE_REPRESENTATIVE, args, options)

    def pending(
        self,
        supervisor: Reference,
        *,
        after: str | None = None,
        limit: int | None = None,
        **options: Unpack[Options],
    ) -> Pages[Registration]:
        """List the registrations that wait for this person's decision.

        Lists registrations of the people they supervise, and of the people of the supervisors whom they represent.

        - `supervisor`: The decider: callsign or pk.
        - `after`: The `next` of the page before.
        - `limit`: Items per page, at most 1000.

        Needs the grant `read`, and of an actor the permission `/supervisors/` for what is not their own.
        """
        args: dict[str, Any] = {"supervisor": supervisor}
        if after is not None:
            args["after"] = after
        if limit is not None:
            args["limit"] = limit
        return self._calls.pages(SUPERVISOR_PENDING, args, options)


class TokenOperations:
    """The operations of the area `token`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def use(
        self,
        token: str,
        *,
        audit: Mapping[str, Any] | None = None,
        expires: datetime | str | None = None,
        **options: Unpack[Options],
    ) -> TokenSpent:
        """Use a one-time token.

        The first use stores it; every later one is refused as `token_reuse`, with the time and the user of the first in the
        details. Never do two succeed. A token whose `expires` has passed is refused as `expired`.

        - `token`: The token.
        - `audit`: A JSON object to keep with it.
        - `expires`: Expiry time, as its issuer set it (RFC 3339)

        Needs the grant `operate`, and of an actor the permission `/tokens/` for what is not their own.
        """
        args: dict[str, Any] = {"token": token}
        if audit is not None:
            args["audit"] = audit
        if expires is not None:
            args["expires"] = expires
        return self._calls.call(TOKEN_USE, args, options)

    def get(
        self,
        token: str,
        **options: Unpack[Options],
    ) -> TokenSpent:
        """Tell when a token was used.

        - `token`: The token.

        Needs the grant `read`, and of an actor the permission `/tokens/` for what is not their own.
        """
        args: dict[str, Any] = {"token": token}
        return self._calls.call(TOKEN_GET, args, options)

    def delete(
        self,
        token: str,
        **options: Unpack[Options],
    ) -> None:
        """Refused, always: a token that could be forgotten could be used twice.

        - `token`: The token.

        Needs the grant `operate`.
        """
        args: dict[str, Any] = {"token": token}
        self._calls.call(TOKEN_DELETE, args, options)


class TransactionOperations:
    """The operations of the area `transaction`."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def run(
        self,
        units: Sequence[Any],
        **options: Unpack[Options],
    ) -> builtins.list[Any]:
        """Do several writes as one transaction: all of them, or none.

        A unit is a JSON object: {"op":"role.assign","args":{"person":"DOGGO01a","role":"member"}}. Units are done in their
        order, and each sees what those before it have left. Events that they touch are filled after the last one. A refusal
        has the code of the unit that was refused, and its index, from 0, in `details.unit`.

        A unit is a plain write. Bulk writes, streams, transactions, `code.use`, `person.erase`, and the areas certificate, jwt, permission
        and server are none, nor is a write for which a certificate must be made (`invalid_argument`).

        - `units`: The units, each a JSON object; 1 to 32.

        Needs the grant `operate`.
        """
        args: dict[str, Any] = {"units": units}
        return self._calls.call(TRANSACTION_RUN, args, options)


class Areas(Calls):
    """The areas of a client."""

    @property
    def certificate(self) -> CertificateOperations:
        """The operations of the area `certificate`."""
        return CertificateOperations(self)

    @property
    def changes(self) -> ChangesOperations:
        """The operations of the area `changes`."""
        return ChangesOperations(self)

    @property
    def cluster(self) -> ClusterOperations:
        """The operations of the area `cluster`."""
        return ClusterOperations(self)

    @property
    def code(self) -> CodeOperations:
        """The operations of the area `code`."""
        return CodeOperations(self)

    @property
    def constant(self) -> ConstantOperations:
        """The operations of the area `constant`."""
        return ConstantOperations(self)

    @property
    def course(self) -> CourseOperations:
        """The operations of the area `course`."""
        return CourseOperations(self)

    @property
    def enrollment(self) -> EnrollmentOperations:
        """The operations of the area `enrollment`."""
        return EnrollmentOperations(self)

    @property
    def event(self) -> EventOperations:
        """The operations of the area `event`."""
        return EventOperations(self)

    @property
    def jwt(self) -> JwtOperations:
        """The operations of the area `jwt`."""
        return JwtOperations(self)

    @property
    def permission(self) -> PermissionOperations:
        """The operations of the area `permission`."""
        return PermissionOperations(self)

    @property
    def person(self) -> PersonOperations:
        """The operations of the area `person`."""
        return PersonOperations(self)

    @property
    def pool(self) -> PoolOperations:
        """The operations of the area `pool`."""
        return PoolOperations(self)

    @property
    def program(self) -> ProgramOperations:
        """The operations of the area `program`."""
        return ProgramOperations(self)

    @property
    def registration(self) -> RegistrationOperations:
        """The operations of the area `registration`."""
        return RegistrationOperations(self)

    @property
    def role(self) -> RoleOperations:
        """The operations of the area `role`."""
        return RoleOperations(self)

    @property
    def server(self) -> ServerOperations:
        """The operations of the area `server`."""
        return ServerOperations(self)

    @property
    def supervisor(self) -> SupervisorOperations:
        """The operations of the area `supervisor`."""
        return SupervisorOperations(self)

    @property
    def token(self) -> TokenOperations:
        """The operations of the area `token`."""
        return TokenOperations(self)

    @property
    def transaction(self) -> TransactionOperations:
        """The operations of the area `transaction`."""
        return TransactionOperations(self)

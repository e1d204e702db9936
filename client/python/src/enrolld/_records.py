# Generated from the operations table by client/python/generate. Do not change it by hand.
"""Records that the daemon answers, and those that a request brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Required, TypedDict

from ._values import JsonObject, Reference, Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateIssued:
    """A certificate that was issued to a service. All fields are `None` in a dry run."""

    certificate: str | None
    """The certificate in PEM."""
    serial: str | None
    """Its serial number: pairs of hexadecimal digits with colons between them."""
    key: Secret | None
    """The private key in PEM, where the daemon made it. It is not kept, but in the answer under the idempotency key."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> CertificateIssued:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            certificate=record["certificate"],
            serial=record["serial"],
            key=(None if (it := record["key"]) is None else Secret(it)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainHead:
    """The head of the chain of changes."""

    seq: int
    """The number of the latest change; 0 before the first."""
    mac: str
    """Its MAC."""
    from_: int
    """The number behind which the chain begins: changes up to it are no longer kept, or are of before an upgrade or an
    import.
    """
    at: datetime
    """The time of the latest write."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ChainHead:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            seq=record["seq"],
            mac=record["mac"],
            from_=record["from"],
            at=datetime.fromisoformat(record["at"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One committed write, or one refused attempt on a code or token."""

    seq: int
    """Its number; the next change has the next number."""
    at: datetime
    """The time of the commit."""
    area: str
    """The area of the operation, such as `person`."""
    verb: str
    """The verb of the change, such as `create`."""
    subjects: list[str]
    """The records that were changed. Of a registration: the event, the person, and the pool where a place was taken or
    given up, or the event itself where it has no pools; of a position in the waiting list the person behind.
    """
    actor: str | None
    """The actor: the person on whose behalf it was done."""
    peer: PeerId
    """The process that called."""
    origin: str | None
    """The origin of the attempt, such as a remote address, if the service named one."""
    cause: int | None
    """The change that this one follows from."""
    refused: str | None
    """The code of the refusal; none for a change that was made."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Change:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            seq=record["seq"],
            at=datetime.fromisoformat(record["at"]),
            area=record["area"],
            verb=record["verb"],
            subjects=record["subjects"],
            actor=record["actor"],
            peer=PeerId.from_json(record["peer"]),
            origin=record["origin"],
            cause=record["cause"],
            refused=record["refused"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockStep:
    """A step of the system's clock, while the daemon ran or between two starts."""

    last_step_seconds: int
    """By how many seconds it was set; less than none is back."""
    last_step_at: datetime
    """The clock's time after the step."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ClockStep:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            last_step_seconds=record["last_step_seconds"],
            last_step_at=datetime.fromisoformat(record["last_step_at"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """The cluster as one of its members sees it."""

    member: str | None
    """The member that was asked; null for a registry on one host, of which the rest is empty."""
    leader: str | None
    """The member that leads; null while nobody does."""
    term: int
    """The tenure of the leader; a later one is higher."""
    latest_record: int
    """The number of the last record of the journal."""
    oldest_record: int
    """The number of the oldest record that etcd keeps."""
    journal_bytes: int
    """Bytes of the records that etcd keeps."""
    etcd: EtcdSize
    """etcd's database, as the member of etcd that is asked has it."""
    members: list[Member]
    """The members, by name; one that is away is listed as long as the daemon that was asked runs."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ClusterStatus:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            member=record["member"],
            leader=record["leader"],
            term=record["term"],
            latest_record=record["latest_record"],
            oldest_record=record["oldest_record"],
            journal_bytes=record["journal_bytes"],
            etcd=EtcdSize.from_json(record["etcd"]),
            members=[Member.from_json(item) for item in record["members"]],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeCreated:
    """A new login code."""

    code: Secret | None
    """The code. It is answered this once, because only its hash is stored; `None` in a dry run."""
    expires: datetime | None
    """Expiry time; none for never."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> CodeCreated:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            code=(None if (it := record["code"]) is None else Secret(it)),
            expires=(None if (it := record["expires"]) is None else datetime.fromisoformat(it)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeExchanged:
    """A JWT that was issued in exchange for another."""

    jwt: Secret | None
    """The signed JWT. `None` in a dry run."""
    expires: datetime
    """Expiry time of the JWT."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> CodeExchanged:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            jwt=(None if (it := record["jwt"]) is None else Secret(it)),
            expires=datetime.fromisoformat(record["expires"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeLogin:
    """A login code as it is stored."""

    created: datetime
    """Creation time."""
    claims: JsonObject
    """The claims it carries."""
    audit: JsonObject | None
    """The audit attached when it was made, and when it was used."""
    used_on: datetime | None
    """Time of the exchange; none for a code that was not used yet."""
    expires: datetime | None
    """Expiry time; none for never."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> CodeLogin:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            created=datetime.fromisoformat(record["created"]),
            claims=record["claims"],
            audit=record["audit"],
            used_on=(None if (it := record["used_on"]) is None else datetime.fromisoformat(it)),
            expires=(None if (it := record["expires"]) is None else datetime.fromisoformat(it)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeUsed:
    """The JWT that a login code was exchanged for, and what the code carried."""

    jwt: Secret | None
    """The signed JWT. `None` in a dry run."""
    expires: datetime
    """Expiry time of the JWT."""
    claims: JsonObject
    """The claims of the code. The JWT has its own beside them."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> CodeUsed:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            jwt=(None if (it := record["jwt"]) is None else Secret(it)),
            expires=datetime.fromisoformat(record["expires"]),
            claims=record["claims"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFigures:
    """Connections, now and since the start."""

    open: int
    """Open now."""
    accepted: int
    """Accepted since the start."""
    refused: int
    """Refused, or ended with a reason, since the start."""
    streams: int
    """Streams open now."""
    by_uid: list[UidConnections]
    """Open now by uid, most first: 16 uids, and the others as one."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ConnectionFigures:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            open=record["open"],
            accepted=record["accepted"],
            refused=record["refused"],
            streams=record["streams"],
            by_uid=[UidConnections.from_json(item) for item in record["by_uid"]],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A value that is allowed."""

    list: str
    """The list, named like the field."""
    value: str
    """The value."""
    label: str | None
    """Label, for people."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Constant:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            list=record["list"],
            value=record["value"],
            label=record["label"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A course that people can be enrolled in."""

    pk: str
    """Primary key."""
    key: str
    """The key, unique among courses without regard to case."""
    modes: list[Literal["audit", "honor", "verified", "masters"] | str]
    """The modes in which people can be enrolled in it."""
    created: datetime
    """Creation time."""
    updated: datetime
    """Time of the last change."""
    deleted: datetime | None
    """Always none: a course that is deleted is gone."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Course:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            pk=record["pk"],
            key=record["key"],
            modes=record["modes"],
            created=datetime.fromisoformat(record["created"]),
            updated=datetime.fromisoformat(record["updated"]),
            deleted=(None if (it := record["deleted"]) is None else datetime.fromisoformat(it)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseEnrollment:
    """Somebody in a course."""

    course: str
    """The course's key."""
    person: str
    """The person enrolled."""
    mode: Literal["audit", "honor", "verified", "masters"] | str
    """The mode."""
    active: bool
    """False once the person is unenrolled."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> CourseEnrollment:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            course=record["course"],
            person=record["person"],
            mode=record["mode"],
            active=record["active"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseRoleHeld:
    """A role that somebody has in a course."""

    person: str
    """The person who holds it."""
    course: str
    """The course's key."""
    role: Literal["staff"] | str
    """The role."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> CourseRoleHeld:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            person=record["person"],
            course=record["course"],
            role=record["role"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSnapshot:
    """The figures of the daemon at one moment."""

    at: datetime
    """The time of this snapshot."""
    version: str
    """Its version."""
    started: datetime
    """The time of the start as it was measured then: another one is another run, whose counts begin anew."""
    uptime_micros: int
    """Time since the start. It does not jump where the clock is set."""
    duration_bounds_micros: list[int]
    """The upper bounds of all durations' buckets; one more bucket has what is above the last of them."""
    batch_bounds: list[int]
    """The upper bounds of the buckets of batches, in requests."""
    operations: list[OperationFigures]
    """Operations that were called since the start."""
    refusals: list[RefusalCount]
    """Refusals since the start by code, of requests and of streams; those that there were."""
    connections: ConnectionFigures
    """Connections."""
    writer: WriterFigures
    """The writer."""
    journal: Journal | None
    """The journal and the flusher; null where the database is in memory."""
    database_bytes: int
    """Bytes of the database's file."""
    disk: Disk
    """The disk of the state directory."""
    changes_head: int
    """The number of the latest change; 0 before the first."""
    follower_lag: int
    """The number of changes that the last follower of the feed has not; 0 without followers."""
    warnings: int
    """Standing warnings, which `server.status` tells."""
    waiting: Waiting
    """Enrollments that wait for a decision."""
    oldest_enrollments: list[WaitingEnrollment] | None
    """The oldest of them, at most 10. Null for a peer that may not see them."""
    fullest_pools: FullestPools | None
    """The pools with the least room. Null likewise."""
    next_events: NextEvents | None
    """The next events that people register for. Null likewise."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> DaemonSnapshot:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            at=datetime.fromisoformat(record["at"]),
            version=record["version"],
            started=datetime.fromisoformat(record["started"]),
            uptime_micros=record["uptime_micros"],
            duration_bounds_micros=record["duration_bounds_micros"],
            batch_bounds=record["batch_bounds"],
            operations=[OperationFigures.from_json(item) for item in record["operations"]],
            refusals=[RefusalCount.from_json(item) for item in record["refusals"]],
            connections=ConnectionFigures.from_json(record["connections"]),
            writer=WriterFigures.from_json(record["writer"]),
            journal=(None if (it := record["journal"]) is None else Journal.from_json(it)),
            database_bytes=record["database_bytes"],
            disk=Disk.from_json(record["disk"]),
            changes_head=record["changes_head"],
            follower_lag=record["follower_lag"],
            warnings=record["warnings"],
            waiting=Waiting.from_json(record["waiting"]),
            oldest_enrollments=(None if (it := record["oldest_enrollments"]) is None else [WaitingEnrollment.from_json(item) for item in it]),
            fullest_pools=(None if (it := record["fullest_pools"]) is None else FullestPools.from_json(it)),
            next_events=(None if (it := record["next_events"]) is None else NextEvents.from_json(it)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStatus:
    """The status of the daemon."""

    version: str
    """Its version."""
    uptime_seconds: int
    """Uptime."""
    state_dir: str
    """The state directory, which holds the database and the secret key."""
    database: Database
    """The database."""
    registry_created: datetime
    """Creation time of the registry. A backup keeps it, so a registry that was made anew by mistake is young."""
    records: dict[str, int]
    """The number of records of each kind."""
    connections: int
    """Connections open now."""
    queue: int
    """Writes waiting now."""
    changes_head: int
    """The number of the latest change; 0 before the first."""
    clock: ClockStep | None
    """The last time that the system's clock was set by more than a few seconds; null where it never was."""
    warnings: list[Finding]
    """Standing warnings, which an administrator should see to, the worst first; empty where all is well."""
    written: list[WrittenBytes]
    """Durable bytes that the calls of each uid caused, largest first: 32 uids, and the others as one."""
    last_backup: datetime | None
    """The time of the last scheduled backup, which was rehearsed; null before the first."""
    backup_directory: str | None
    """The directory of the scheduled backups; null where none are configured."""
    waiting: Waiting
    """Enrollments that wait for a decision."""
    requests: Requests
    """Requests since the start."""
    disk: Disk
    """The disk of the state directory."""
    clock_synchronised: bool
    """True if the kernel calls the system's clock synchronised."""
    authority_ends: datetime
    """The end of the authority's certificate, or of one above it, whichever is first."""
    certificate_ends: datetime | None
    """The end of the certificate that ends next: of the valid ones, without those that were renewed. Null where there
    is none. In a registry with more than 1,000 certificates it is up to an hour old.
    """

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> DaemonStatus:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            version=record["version"],
            uptime_seconds=record["uptime_seconds"],
            state_dir=record["state_dir"],
            database=Database.from_json(record["database"]),
            registry_created=datetime.fromisoformat(record["registry_created"]),
            records=record["records"],
            connections=record["connections"],
            queue=record["queue"],
            changes_head=record["changes_head"],
            clock=(None if (it := record["clock"]) is None else ClockStep.from_json(it)),
            warnings=[Finding.from_json(item) for item in record["warnings"]],
            written=[WrittenBytes.from_json(item) for item in record["written"]],
            last_backup=(None if (it := record["last_backup"]) is None else datetime.fromisoformat(it)),
            backup_directory=record["backup_directory"],
            waiting=Waiting.from_json(record["waiting"]),
            requests=Requests.from_json(record["requests"]),
            disk=Disk.from_json(record["disk"]),
            clock_synchronised=record["clock_synchronised"],
            authority_ends=datetime.fromisoformat(record["authority_ends"]),
            certificate_ends=(None if (it := record["certificate_ends"]) is None else datetime.fromisoformat(it)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """The database's size and shape."""

    bytes: int
    """Bytes of its file."""
    cache_bytes: int
    """Bytes its cache may take."""
    schema: int
    """The version of its schema."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Database:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            bytes=record["bytes"],
            cache_bytes=record["cache_bytes"],
            schema=record["schema"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The disk of the state directory."""

    free_bytes: int | None
    """Bytes that are free; null where the system does not say."""
    needed_bytes: int
    """Free bytes below which writes are refused (`database.free_mib`); 0 for no limit."""
    commit_micros: int
    """Average time to make one of the latest batches of writes durable, in microseconds; 0 before the first."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Disk:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            free_bytes=record["free_bytes"],
            needed_bytes=record["needed_bytes"],
            commit_micros=record["commit_micros"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment:
    """An enrollment: a callsign's request to become a person."""

    pk: str
    """Primary key."""
    callsign: str
    """Unique among people and enrollments, without regard to case."""
    state: Literal["pending", "approved", "rejected"] | str
    """The decision, or pending."""
    approvecode: Secret | None
    """The code that the approver may ask the person for. `None` in a dry run."""
    pool: str | None
    """The pool it came by."""
    person: str | None
    """The person it became."""
    extra: JsonObject
    """The pool's extra, with what the caller attached over it."""
    csr: str | None
    """The signing request that it came with, in PEM; none without one, and for a peer with the grant `read`."""
    has_csr: bool
    """True if it came with a signing request."""
    decided_by: Mapping[str, Any] | None
    """The decider; none while it is pending."""
    decided_on: datetime | None
    """Time of the decision."""
    reason: str | None
    """Reason of the rejection."""
    created: datetime
    """Creation time."""
    updated: datetime
    """Time of the last change."""
    deleted: datetime | None
    """Always none: an enrollment is never deleted."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Enrollment:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            pk=record["pk"],
            callsign=record["callsign"],
            state=record["state"],
            approvecode=(None if (it := record["approvecode"]) is None else Secret(it)),
            pool=record["pool"],
            person=record["person"],
            extra=record["extra"],
            csr=record["csr"],
            has_csr=record["has_csr"],
            decided_by=record["decided_by"],
            decided_on=(None if (it := record["decided_on"]) is None else datetime.fromisoformat(it)),
            reason=record["reason"],
            created=datetime.fromisoformat(record["created"]),
            updated=datetime.fromisoformat(record["updated"]),
            deleted=(None if (it := record["deleted"]) is None else datetime.fromisoformat(it)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdSize:
    """The size of etcd's database."""

    bytes: int
    """Bytes of its file."""
    in_use_bytes: int
    """Bytes of it that are in use. Writes are refused when they are 80 % of the quota."""
    quota_bytes: int
    """Bytes that it may have, by the configuration of the member that was asked."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> EtcdSize:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            bytes=record["bytes"],
            in_use_bytes=record["in_use_bytes"],
            quota_bytes=record["quota_bytes"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event that people register for."""

    pk: str
    """Primary key."""
    title: str
    """Title."""
    kind: str
    """Kind, such as `social`; permissions name it."""
    owner: str
    """The owner."""
    start: datetime
    """Start."""
    duration_minutes: int
    """Duration."""
    max_participants: int | None
    """The most people who may take part, whatever the pools hold."""
    leisure: bool
    """True if everybody may come without registering."""
    published: bool
    """True if people may register."""
    canceled: bool
    """True if it was called off."""
    approval: Literal["none", "supervisor"] | str
    """The approver of registrations."""
    waiting_list: bool
    """True if people may wait for a place."""
    merge_time: datetime | None
    """Time of the merge: from then on the places of all pools are one."""
    registration_closes: datetime | None
    """End of registering; its start if there is none."""
    unregistration_closes: datetime | None
    """End of canceling; its start if there is none."""
    extra: JsonObject
    """The JSON object that the caller attached."""
    time_state: Literal["upcoming", "current", "past"] | str
    """Upcoming, current or past."""
    update_state: Literal["draft", "published", "registrations", "canceled"] | str
    """The state that decides which actions are possible."""
    actions: list[Literal["save", "publish", "unpublish", "cancel"] | str]
    """The actions that are possible."""
    places_taken: int
    """People who hold a place."""
    waiting_count: int
    """People who wait for one."""
    pools: list[EventPool]
    """Its pools, oldest first; without any, everybody may join."""
    created: datetime
    """Creation time."""
    updated: datetime
    """Time of the last change."""
    deleted: datetime | None
    """Always none: an event is canceled, not deleted."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Event:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            pk=record["pk"],
            title=record["title"],
            kind=record["kind"],
            owner=record["owner"],
            start=datetime.fromisoformat(record["start"]),
            duration_minutes=record["duration_minutes"],
            max_participants=record["max_participants"],
            leisure=record["leisure"],
            published=record["published"],
            canceled=record["canceled"],
            approval=record["approval"],
            waiting_list=record["waiting_list"],
            merge_time=(None if (it := record["merge_time"]) is None else datetime.fromisoformat(it)),
            registration_closes=(None if (it := record["registration_closes"]) is None else datetime.fromisoformat(it)),
            unregistration_closes=(None if (it := record["unregistration_closes"]) is None else datetime.fromisoformat(it)),
            extra=record["extra"],
            time_state=record["time_state"],
            update_state=record["update_state"],
            actions=record["actions"],
            places_taken=record["places_taken"],
            waiting_count=record["waiting_count"],
            pools=[EventPool.from_json(item) for item in record["pools"]],
            created=datetime.fromisoformat(record["created"]),
            updated=datetime.fromisoformat(record["updated"]),
            deleted=(None if (it := record["deleted"]) is None else datetime.fromisoformat(it)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPlaces:
    """The places of an event."""

    pk: str
    """Primary key."""
    title: str
    """Title."""
    start: datetime
    """Start."""
    max_participants: int | None
    """The most people who may take part, whatever the pools hold."""
    places_taken: int
    """People who hold a place."""
    waiting_count: int
    """People who wait for one."""
    pools: list[EventPoolPlaces]
    """Its pools, oldest first."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> EventPlaces:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            pk=record["pk"],
            title=record["title"],
            start=datetime.fromisoformat(record["start"]),
            max_participants=record["max_participants"],
            places_taken=record["places_taken"],
            waiting_count=record["waiting_count"],
            pools=[EventPoolPlaces.from_json(item) for item in record["pools"]],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPool:
    """A pool of an event: places for people of some roles."""

    pk: str
    """Primary key."""
    name: str
    """Unique in its event."""
    capacity: int
    """Capacity in places; 0 for any number."""
    opens: datetime | None
    """Opening time; none for a pool that is open from the beginning."""
    roles: list[str]
    """The pool admits people who have one of these roles."""
    places_taken: int
    """People who hold a place in it."""
    waiting_count: int
    """People who wait for a place in it."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> EventPool:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            pk=record["pk"],
            name=record["name"],
            capacity=record["capacity"],
            opens=(None if (it := record["opens"]) is None else datetime.fromisoformat(it)),
            roles=record["roles"],
            places_taken=record["places_taken"],
            waiting_count=record["waiting_count"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPoolPlaces:
    """The places of an event's pool."""

    name: str
    """Name, unique in the event."""
    capacity: int
    """Places; 0 for any number."""
    places_taken: int
    """People who hold one."""
    waiting_count: int
    """People who wait for one."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> EventPoolPlaces:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            name=record["name"],
            capacity=record["capacity"],
            places_taken=record["places_taken"],
            waiting_count=record["waiting_count"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The outcome that registering now would have, and the reasons."""

    outcome: str
    """`seat`, `wait`, or the code of the refusal."""
    pool: str | None
    """The pool that the place would be in."""
    waiting_position: int | None
    """The position in the waiting list that the person would have, or has."""
    pools: list[PoolExplanation]
    """The verdict on each pool, oldest first."""
    because: list[str]
    """The reasons, in sentences."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Explanation:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            outcome=record["outcome"],
            pool=record["pool"],
            waiting_position=record["waiting_position"],
            pools=[PoolExplanation.from_json(item) for item in record["pools"]],
            because=record["because"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A condition that was found. It does not stop the daemon, and an administrator should see to it."""

    topic: str
    """The condition, one of a table of words, such as `grants`. The metric `enrolld_warnings` counts by it."""
    severity: Literal["error", "warning", "notice"] | str
    """Its severity."""
    subject: str
    """The subject within the topic, such as an issuer; empty for a topic that has only one."""
    message: str
    """The problem, its consequence, and, where the command is not enough, the way out."""
    mend: str
    """The command that mends it, or the words that lead to it."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Finding:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            topic=record["topic"],
            severity=record["severity"],
            subject=record["subject"],
            message=record["message"],
            mend=record["mend"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FullestPools:
    """The pools with the least room."""

    pools: list[PoolUses]
    """At most 10 that are usable or full, the fullest first, without those that take any number. Their uses are of this
    snapshot.
    """
    complete_since: datetime | None
    """The time when the last look at every pool began. Between two looks another pool may have become as full. Null
    until every pool was looked at once: more are looked at with each snapshot.
    """
    looked_at: int
    """Pools that the look that goes on has seen; 0 where each snapshot looks at them all."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> FullestPools:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            pools=[PoolUses.from_json(item) for item in record["pools"]],
            complete_since=(None if (it := record["complete_since"]) is None else datetime.fromisoformat(it)),
            looked_at=record["looked_at"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """The journal and the flusher, which moves its writes into the database's file; now and since the start."""

    bytes: int
    """Bytes of its files now."""
    memtable_bytes: int
    """Bytes of memory now of what is journaled and not on its way into the database's file."""
    syncs: int
    """Batches it made durable."""
    flushes: int
    """Moves into the database's file."""
    flushed_keys: int
    """Writes that were moved."""
    flush_micros: int
    """Time that the moves took."""
    paced_micros: int
    """Time for which batches were held back so that the moves keep up."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Journal:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            bytes=record["bytes"],
            memtable_bytes=record["memtable_bytes"],
            syncs=record["syncs"],
            flushes=record["flushes"],
            flushed_keys=record["flushed_keys"],
            flush_micros=record["flush_micros"],
            paced_micros=record["paced_micros"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member."""

    name: str
    """Its name."""
    host: str
    """Its host."""
    version: str
    """The version of its daemon."""
    is_here: bool
    """True if its daemon is there."""
    record: int
    """The number of the latest record that its readers see."""
    lag_records: int
    """The number of records that it lacked when it told."""
    lag_seconds: int
    """For how long the oldest of them has been there."""
    on_disk: int
    """The number of the record up to which its database has everything on its disk."""
    clock_ahead_millis: int | None
    """By how many milliseconds its clock is ahead, at least; less than none is behind. Null before clocks were compared."""
    differing_settings: list[str]
    """Settings that differ from those of the member that was asked."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Member:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            name=record["name"],
            host=record["host"],
            version=record["version"],
            is_here=record["is_here"],
            record=record["record"],
            lag_records=record["lag_records"],
            lag_seconds=record["lag_seconds"],
            on_disk=record["on_disk"],
            clock_ahead_millis=record["clock_ahead_millis"],
            differing_settings=record["differing_settings"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NextEvents:
    """The next events that people register for: published, not canceled, and not begun."""

    events: list[EventPlaces]
    """At most 10, by start."""
    more: bool
    """True if there are, or may be, more than these."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> NextEvents:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            events=[EventPlaces.from_json(item) for item in record["events"]],
            more=record["more"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFigures:
    """An operation's calls since the start."""

    operation: str
    """`area.verb`, or `unknown` for all that the table does not have."""
    done: int
    """Done."""
    refused: int
    """Refused."""
    failed: int
    """Failed inside the daemon."""
    micros: int
    """The sum of their durations, from the request's arrival to its answer, waiting and commit included."""
    durations: list[int]
    """Calls by duration, whatever their outcome: a count for each bucket."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> OperationFigures:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            operation=record["operation"],
            done=record["done"],
            refused=record["refused"],
            failed=record["failed"],
            micros=record["micros"],
            durations=record["durations"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerId:
    """A process as the kernel names it."""

    uid: int
    """Its user."""
    pid: int
    """Its process id when it connected."""
    member: str | None
    """The member of the cluster on whose host it runs; null for a registry on one host."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> PeerId:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            uid=record["uid"],
            pid=record["pid"],
            member=record["member"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionGranted:
    """A permission that a role was granted."""

    role: str
    """The role."""
    permission: str
    """The permission that it carries."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> PermissionGranted:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            role=record["role"],
            permission=record["permission"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person: a member of the registry."""

    pk: str
    """Primary key."""
    callsign: str
    """Unique among people, deleted ones too, without regard to case."""
    extra: JsonObject
    """The JSON object that the caller attached."""
    roles: list[str]
    """The roles that the person has; a deleted person has none."""
    supervisor: str | None
    """The person who decides on this person's registrations."""
    certificate: bool
    """True if the person has a certificate."""
    revocation: Revocation | None
    """Reason and time of the revocation; none for a person who was not revoked."""
    created: datetime
    """Creation time."""
    updated: datetime
    """Time of the last change."""
    deleted: datetime | None
    """Deletion time; none for a live record."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Person:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            pk=record["pk"],
            callsign=record["callsign"],
            extra=record["extra"],
            roles=record["roles"],
            supervisor=record["supervisor"],
            certificate=record["certificate"],
            revocation=(None if (it := record["revocation"]) is None else Revocation.from_json(it)),
            created=datetime.fromisoformat(record["created"]),
            updated=datetime.fromisoformat(record["updated"]),
            deleted=(None if (it := record["deleted"]) is None else datetime.fromisoformat(it)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A placement by hand: who decided it, when and why."""

    by: Mapping[str, Any]
    """The person, or the uid of the peer without an actor."""
    on: datetime
    """Time of the placement."""
    reason: str
    """The reason, for people."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Placed:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            by=record["by"],
            on=datetime.fromisoformat(record["on"]),
            reason=record["reason"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """An invite pool: an invite code by which people enroll."""

    pk: str
    """Primary key."""
    owner: str
    """The owner."""
    active: bool
    """True if it was not deactivated."""
    usable: Literal["yes", "deleted", "inactive", "owner_deleted", "exhausted", "expired"] | str
    """`yes` if people can enroll by it now, else the first reason why not."""
    invitecode: Secret | None
    """The invite code. `None` in a dry run."""
    extra: JsonObject
    """The `extra` that every enrollment by it begins with."""
    max_uses: int | None
    """The most enrollments by it; none for any number."""
    uses: int
    """Enrollments by it so far."""
    expires: datetime | None
    """Expiry time; none for never."""
    created: datetime
    """Creation time."""
    updated: datetime
    """Time of the last change."""
    deleted: datetime | None
    """Deletion time; none for a live record."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Pool:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            pk=record["pk"],
            owner=record["owner"],
            active=record["active"],
            usable=record["usable"],
            invitecode=(None if (it := record["invitecode"]) is None else Secret(it)),
            extra=record["extra"],
            max_uses=record["max_uses"],
            uses=record["uses"],
            expires=(None if (it := record["expires"]) is None else datetime.fromisoformat(it)),
            created=datetime.fromisoformat(record["created"]),
            updated=datetime.fromisoformat(record["updated"]),
            deleted=(None if (it := record["deleted"]) is None else datetime.fromisoformat(it)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolExplanation:
    """The verdict on one pool."""

    pk: str
    """Primary key."""
    name: str
    """Its name."""
    admits: bool
    """True if the person has a role for it."""
    open: bool
    """True if it is open."""
    opens: datetime | None
    """Opening time, also of a pool that has opened; none for one that was never closed."""
    capacity: int
    """Capacity in places; 0 for any number."""
    places_taken: int
    """Places taken."""
    exclusivity: int
    """People who hold its roles, counted role by role: fewer is more exclusive."""
    chosen: bool
    """True for the pool that gives the place."""
    because: str
    """The reason of the verdict, in a sentence."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> PoolExplanation:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            pk=record["pk"],
            name=record["name"],
            admits=record["admits"],
            open=record["open"],
            opens=(None if (it := record["opens"]) is None else datetime.fromisoformat(it)),
            capacity=record["capacity"],
            places_taken=record["places_taken"],
            exclusivity=record["exclusivity"],
            chosen=record["chosen"],
            because=record["because"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUses:
    """The uses of a pool."""

    pk: str
    """Primary key."""
    owner: str
    """The owner's callsign."""
    uses: int
    """The number of people who enrolled by it."""
    max_uses: int
    """The most who may."""
    expires: datetime | None
    """The time at which it expires."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> PoolUses:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            pk=record["pk"],
            owner=record["owner"],
            uses=record["uses"],
            max_uses=record["max_uses"],
            expires=(None if (it := record["expires"]) is None else datetime.fromisoformat(it)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramCourse:
    """A course of a program enrollment."""

    course: str
    """The course's key."""
    status: Literal["active", "inactive"] | str
    """Status."""
    enrolled: bool
    """True once a person was enrolled in the course by it; false while it waits to be linked."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ProgramCourse:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            course=record["course"],
            status=record["status"],
            enrolled=record["enrolled"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramEnrollment:
    """A program enrollment: an external key in a program, and the person it is linked to."""

    pk: str
    """Primary key."""
    program: str
    """The program."""
    curriculum: str
    """The curriculum."""
    external_key: str
    """The program's own name for the person, unique in the program without regard to case."""
    person: str | None
    """The linked person; none while it waits to be linked."""
    status: Literal["enrolled", "pending", "suspended", "canceled", "ended"] | str
    """Status."""
    courses: list[ProgramCourse]
    """The courses of the program that this key is enrolled in."""
    created: datetime
    """Creation time."""
    updated: datetime
    """Time of the last change."""
    deleted: datetime | None
    """Always none: an enrollment in a program is canceled or ended, not deleted."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ProgramEnrollment:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            pk=record["pk"],
            program=record["program"],
            curriculum=record["curriculum"],
            external_key=record["external_key"],
            person=record["person"],
            status=record["status"],
            courses=[ProgramCourse.from_json(item) for item in record["courses"]],
            created=datetime.fromisoformat(record["created"]),
            updated=datetime.fromisoformat(record["updated"]),
            deleted=(None if (it := record["deleted"]) is None else datetime.fromisoformat(it)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramFailure:
    """The failure of one unit of a bulk write."""

    code: str
    """The stable code of the refusal."""
    message: str
    """The problem and the way out, for people."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ProgramFailure:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            code=record["code"],
            message=record["message"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalCount:
    """Refusals with a code since the start."""

    code: str
    """The code's word."""
    count: int
    """Their number."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> RefusalCount:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            code=record["code"],
            count=record["count"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A registration: one for a person and an event, kept through canceling and registering again."""

    pk: str
    """Primary key."""
    event: str
    """The event."""
    person: str
    """The person registered."""
    pool: str | None
    """The pool that the place is in; none without a place, or in an event without pools."""
    waiting: bool
    """True if the person waits for a place."""
    waiting_pools: list[str]
    """The pools that the person waits for."""
    waiting_position: int | None
    """Position in the waiting list, from 1."""
    registered_at: datetime
    """Time of the latest registration."""
    canceled: bool
    """True if the person canceled."""
    canceled_at: datetime | None
    """Time of the canceling."""
    approval: Literal["not_required", "pending", "approved", "rejected"] | str
    """The approval."""
    decided_by: Mapping[str, Any] | None
    """The decider; none while it is pending."""
    decided_on: datetime | None
    """Time of the decision."""
    reason: str | None
    """The reason of the decision, for people."""
    placed: Placed | None
    """The placement by hand that its place or its position comes from; none without one."""
    created: datetime
    """Creation time."""
    updated: datetime
    """Time of the last change."""
    deleted: datetime | None
    """Always none: a registration is canceled, not deleted."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Registration:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            pk=record["pk"],
            event=record["event"],
            person=record["person"],
            pool=record["pool"],
            waiting=record["waiting"],
            waiting_pools=record["waiting_pools"],
            waiting_position=record["waiting_position"],
            registered_at=datetime.fromisoformat(record["registered_at"]),
            canceled=record["canceled"],
            canceled_at=(None if (it := record["canceled_at"]) is None else datetime.fromisoformat(it)),
            approval=record["approval"],
            decided_by=record["decided_by"],
            decided_on=(None if (it := record["decided_on"]) is None else datetime.fromisoformat(it)),
            reason=record["reason"],
            placed=(None if (it := record["placed"]) is None else Placed.from_json(it)),
            created=datetime.fromisoformat(record["created"]),
            updated=datetime.fromisoformat(record["updated"]),
            deleted=(None if (it := record["deleted"]) is None else datetime.fromisoformat(it)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Requests that were answered since the start; a stream counts when it begins."""

    done: int
    """Done."""
    refused: int
    """Refused."""
    failed: int
    """Failed inside the daemon."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Requests:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            done=record["done"],
            refused=record["refused"],
            failed=record["failed"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """A revocation in the sense of RFC 5280."""

    reason: Literal["unspecified", "key_compromise", "affiliation_changed", "superseded", "cessation_of_operation", "privilege_withdrawn"] | str
    """The reason."""
    at: datetime
    """The time."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Revocation:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            reason=record["reason"],
            at=datetime.fromisoformat(record["at"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerImported:
    """The progress of an import."""

    at: int
    """Offset of the next piece. It is 0 after the first piece while an earlier import is being removed: that piece is
    sent again.
    """
    records: dict[str, int] | None
    """The number of records of each kind, once the whole file was read and every rule holds; none before that."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ServerImported:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            at=record["at"],
            records=record["records"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpent:
    """A token that was used."""

    token: Secret
    """The token, as it was given in this request; only its hash is stored."""
    created: datetime
    """Time of the first use."""
    audit: JsonObject | None
    """The audit attached by the first use."""
    expires: datetime | None
    """Expiry time, as its issuer set it."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> TokenSpent:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            token=Secret(record["token"]),
            created=datetime.fromisoformat(record["created"]),
            audit=record["audit"],
            expires=(None if (it := record["expires"]) is None else datetime.fromisoformat(it)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UidConnections:
    """The open connections of a uid."""

    uid: int | None
    """The uid; null for all others together."""
    connections: int
    """Their number."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> UidConnections:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            uid=record["uid"],
            connections=record["connections"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A rule that does not hold somewhere."""

    invariant: str
    """The rule's name, such as `I3`."""
    subject: str
    """The record it does not hold for."""
    message: str
    """The problem."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Violation:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            invariant=record["invariant"],
            subject=record["subject"],
            message=record["message"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Enrollments that wait for a decision."""

    enrollments: int
    """Their number, at most 1,000: no more are counted."""
    more: bool
    """True if there are more than that."""
    oldest: datetime | None
    """The time at which the oldest of them was made."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Waiting:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            enrollments=record["enrollments"],
            more=record["more"],
            oldest=(None if (it := record["oldest"]) is None else datetime.fromisoformat(it)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingEnrollment:
    """An enrollment that waits for a decision."""

    pk: str
    """Primary key."""
    callsign: str
    """The callsign that it asks for."""
    pool: str | None
    """The pool it came by."""
    created: datetime
    """Creation time."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> WaitingEnrollment:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            pk=record["pk"],
            callsign=record["callsign"],
            pool=record["pool"],
            created=datetime.fromisoformat(record["created"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterFigures:
    """The writer, now and since the start."""

    queue: int
    """Writes that wait for it now."""
    batches: list[int]
    """Batches by the requests in them: a count for each bucket."""
    batched: int
    """The requests in all batches."""
    commits: list[int]
    """Commits by duration: a count for each bucket."""
    commit_micros: int
    """The sum of their durations."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> WriterFigures:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            queue=record["queue"],
            batches=record["batches"],
            batched=record["batched"],
            commits=record["commits"],
            commit_micros=record["commit_micros"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBytes:
    """Durable bytes that the calls of a uid caused, refused ones too."""

    uid: int | None
    """The uid; null for all others together."""
    bytes_this_hour: int
    """Since the last full hour (UTC)."""
    bytes_last_hour: int
    """In the hour before."""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> WrittenBytes:
        """The record of this JSON. Members that are not known are ignored."""
        return cls(
            uid=record["uid"],
            bytes_this_hour=record["bytes_this_hour"],
            bytes_last_hour=record["bytes_last_hour"],
        )


class CourseUnitDict(TypedDict, total=False):
    """An external key to be enrolled in a course of its program."""

    external_key: Required[str]
    """The external key."""
    status: Required[str]
    """The new status. A text, so that an unknown one fails this key alone."""


class EnrollmentUnitDict(TypedDict, total=False):
    """An external key to be enrolled in a program."""

    external_key: Required[str]
    """The external key."""
    curriculum: str | None
    """The curriculum; required for a key that may be new."""
    status: Required[str]
    """The new status. A text, so that an unknown one fails this key alone."""
    person: Reference | None
    """The person to link it to at once."""


class KeptHeadDict(TypedDict, total=False):
    """A head of the chain as it was kept."""

    seq: Required[int]
    """The number of a change."""
    mac: Required[str]
    """Its MAC."""


class NewPoolDict(TypedDict, total=False):
    """A pool to be made with its event."""

    name: Required[str]
    """Unique in its event."""
    capacity: Required[int]
    """Capacity in places; 0 for any number."""
    roles: Required[Sequence[str]]
    """The pool admits people who have one of these roles."""
    opens: datetime | str | None
    """Opening time; none for a pool that is open from the beginning."""


__all__ = [
    "CertificateIssued",
    "ChainHead",
    "Change",
    "ClockStep",
    "ClusterStatus",
    "CodeCreated",
    "CodeExchanged",
    "CodeLogin",
    "CodeUsed",
    "ConnectionFigures",
    "Constant",
    "Course",
    "CourseEnrollment",
    "CourseRoleHeld",
    "CourseUnitDict",
    "DaemonSnapshot",
    "DaemonStatus",
    "Database",
    "Disk",
    "Enrollment",
    "EnrollmentUnitDict",
    "EtcdSize",
    "Event",
    "EventPlaces",
    "EventPool",
    "EventPoolPlaces",
    "Explanation",
    "Finding",
    "FullestPools",
    "Journal",
    "KeptHeadDict",
    "Member",
    "NewPoolDict",
    "NextEvents",
    "OperationFigures",
    "PeerId",
    "PermissionGranted",
    "Person",
    "Placed",
    "Pool",
    "PoolExplanation",
    "PoolUses",
    "ProgramCourse",
    "ProgramEnrollment",
    "ProgramFailure",
    "RefusalCount",
    "Registration",
    "Requests",
    "Revocation",
    "ServerImported",
    "TokenSpent",
    "UidConnections",
    "Violation",
    "Waiting",
    "WaitingEnrollment",
    "WriterFigures",
    "WrittenBytes",
]

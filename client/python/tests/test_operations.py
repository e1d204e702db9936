# Generated from test_async_operations.py by tools/unasync.py. Do not change it by hand.
"""Operations of a real daemon: their arguments, answers, refusals, pages and streams."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import enrolld

KEY = "019aab01-997b-774b-bfff-ffffffffffff"


def test_the_main_argument_comes_first_and_answers_are_records(enrolld_socket: Path) -> None:
    with enrolld.Client(enrolld_socket) as client:
        person = client.person.create("DOGGO01a", extra={"team": "red", "n": 7})
        assert isinstance(person, enrolld.Person)
        assert (person.callsign, person.extra, person.deleted) == ("DOGGO01a", {"team": "red", "n": 7}, None)
        assert person.created.tzinfo is not None and abs(person.created - datetime.now(UTC)) < timedelta(hours=1)
        assert client.person.get(enrolld.by_pk(person.pk)) == person
        assert client.person.get(enrolld.by_callsign("doggo01A")) == person
        with pytest.raises(enrolld.NotFound):
            client.person.get(enrolld.by_callsign(person.pk))
        with pytest.raises(enrolld.InvalidArgument):
            client.person.get(enrolld.by_invitecode("DOGGO01a"))
        assert client.role.assign("DOGGO01a", "member") is True
        assert client.role.assign("DOGGO01a", "member") is False
        assert client.role.list("DOGGO01a") == ["member"]


def test_a_refusal_is_an_exception_of_its_code(enrolld_socket: Path) -> None:
    with enrolld.Client(enrolld_socket) as client:
        code = (client.code.create({"sub": "X"})).code
        assert code is not None and repr(code) == "Secret(..)" and len(code) >= 12
        used = client.code.use(code)
        assert used.claims == {"sub": "X"} and str(code) not in repr(used)
        with pytest.raises(enrolld.TokenReuse) as caught:
            client.code.use(code)
        refused = caught.value
        assert (refused.code, refused.operation, refused.http_status) == ("token_reuse", "code.use", 409)
        assert refused.details["state"] == "used" and refused.retry_after is None
        with pytest.raises(enrolld.ForbiddenOperation):
            client.code.delete(code)
        with pytest.raises(enrolld.Refused):
            client.person.create("")


def test_guesses_are_limited_by_origin_and_say_when_to_come_again(enrolld_socket: Path) -> None:
    with enrolld.Client(enrolld_socket) as client:
        with enrolld.origin("203.0.113.9"):
            with pytest.raises(enrolld.TooManyAttempts) as caught:
                for number in range(100):
                    with pytest.raises(enrolld.NotFound):
                        client.code.use(f"AAAAAAAAAA{number:02}")
            assert caught.value.http_status == 429
            assert caught.value.retry_after is not None and 0 < caught.value.retry_after <= 60
        with pytest.raises(enrolld.NotFound):
            client.code.use("AAAAAAAAAAAA", origin="203.0.113.10")
        with pytest.raises(enrolld.TooManyAttempts):
            client.with_options(origin="203.0.113.9").code.use("AAAAAAAAAAAA")


def test_a_list_is_an_iterator_over_its_pages(enrolld_socket: Path) -> None:
    with enrolld.Client(enrolld_socket) as client:
        names = [f"DOG{number:02}" for number in range(25)]
        for name in names:
            client.person.create(name)
        assert [person.callsign for person in client.person.list(limit=4)] == names
        assert len(client.person.list().all()) == 25
        page = client.person.list(limit=7).page()
        assert len(page.items) == 7 and page.next is not None
        rest = client.person.list(after=page.next).all()
        assert [person.callsign for person in rest] == names[7:]


def test_what_is_not_given_stays_and_what_is_none_is_cleared(enrolld_socket: Path) -> None:
    with enrolld.Client(enrolld_socket) as client:
        client.person.create("BOSS", roles=["superuser"])
        until = datetime.now(UTC) + timedelta(days=1)
        pool = client.pool.create(owner="BOSS", max_uses=40, expires=until, extra={"a": 1})
        assert pool.invitecode is not None
        assert pool.expires == until and str(pool.invitecode) not in repr(pool)
        changed = client.pool.update(enrolld.by_pk(pool.pk), max_uses=60)
        assert (changed.max_uses, changed.expires, changed.extra) == (60, until, {"a": 1})
        cleared = client.pool.update(enrolld.by_invitecode(pool.invitecode), expires=None, extra=None)
        assert (cleared.max_uses, cleared.expires, cleared.extra) == (60, None, {})
        with pytest.raises(ValueError, match="time zone"):
            client.pool.update(enrolld.by_pk(pool.pk), expires=datetime(2030, 1, 1))


def test_options_are_of_a_call_or_of_a_client(enrolld_socket: Path) -> None:
    with enrolld.Client(enrolld_socket) as client:
        client.person.create("BOSS", roles=["superuser"])
        client.person.create("DOGGO01a")
        preview = client.person.create("CAT01a", dry_run=True)
        assert preview.callsign == "CAT01a"
        with pytest.raises(enrolld.NotFound):
            client.person.get("CAT01a")
        with pytest.raises(enrolld.PermissionDenied):
            client.role.assign("DOGGO01a", "member", actor="DOGGO01a")
        boss = client.with_options(actor=enrolld.by_callsign("BOSS"))
        assert boss.role.assign("DOGGO01a", "member")
        assert (client.with_options(dry_run=True).code.create({"sub": "X"})).code is None
        jwt = (client.code.use((client.code.create({"sub": "BOSS"})).code or "")).jwt
        assert jwt is not None
        assert client.role.remove("DOGGO01a", "member", actor_jwt=jwt)
        with pytest.raises(enrolld.JwtInvalid):
            client.role.remove("DOGGO01a", "member", actor_jwt="a.b.c")


def test_a_write_under_its_key_is_done_once(enrolld_socket: Path) -> None:
    with enrolld.Client(enrolld_socket) as client:
        first = client.person.create("DOGGO01a", idempotency_key=KEY)
        assert client.person.create("DOGGO01a", idempotency_key=KEY) == first
        with pytest.raises(enrolld.KeyReused):
            client.person.create("DOGGO01b", idempotency_key=KEY)


def test_changes_are_followed_from_a_number_on(enrolld_socket: Path) -> None:
    with enrolld.Client(enrolld_socket) as client:
        for name in ("A", "B", "C"):
            client.person.create(name)
        seen = []
        with client.changes.follow(since=1) as changes:
            for change in changes:
                seen.append((change.seq, change.area, change.verb))
                if len(seen) == 2:
                    break
        assert seen == [(2, "person", "create"), (3, "person", "create")]
        with pytest.raises(enrolld.PermissionDenied):
            for _ in client.changes.follow(since=1, actor="A"):
                pass


def test_a_walk_gives_pieces_of_one_text(enrolld_socket: Path) -> None:
    with enrolld.Client(enrolld_socket) as client:
        pieces = [piece for piece in client.certificate.crl()]
        assert "".join(pieces).startswith("-----BEGIN X509 CRL-----")


def test_a_key_is_written_for_its_owner_alone(enrolld_socket: Path, tmp_path: Path) -> None:
    with enrolld.Client(enrolld_socket) as client:
        client.person.create("DOGGO01a", certificate="generate")
        key = client.certificate.key("DOGGO01a")
        path = enrolld.write_private(tmp_path / "DOGGO01a.key", key)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600 and "PRIVATE KEY" in path.read_text()
        assert "PRIVATE" not in repr(key)
        with pytest.raises(ValueError, match="dry run"):
            enrolld.write_private(path, client.certificate.key("DOGGO01a", dry_run=True))
        assert [file.name for file in tmp_path.iterdir()] == ["DOGGO01a.key"]


def test_writes_of_a_transaction_are_all_done_or_none(enrolld_socket: Path) -> None:
    with enrolld.Client(enrolld_socket) as client:
        create = {"op": "person.create", "args": {"callsign": "DOGGO01a"}}
        assign = {"op": "role.assign", "args": {"person": "DOGGO01a", "role": "member"}}
        with pytest.raises(enrolld.CallsignReserved) as caught:
            client.transaction.run([create, create])
        assert caught.value.details["unit"] == 1
        person, is_new = client.transaction.run([create, assign])
        assert (person["callsign"], is_new) == ("DOGGO01a", True)


def test_an_operation_is_called_by_its_name(enrolld_socket: Path) -> None:
    with enrolld.Client(enrolld_socket) as client:
        person = client.raw("person.create", {"callsign": "DOGGO01a"})
        assert person == client.raw("person.get", {"person": enrolld.by_pk(person["pk"])})
        assert (client.raw("server.status"))["version"] == enrolld.__version__
        with pytest.raises(enrolld.UnknownOperation):
            client.raw("person.teleport", {"person": "DOGGO01a"})


def test_bulk_writes_answer_each_key(enrolld_socket: Path) -> None:
    with enrolld.Client(enrolld_socket) as client:
        client.person.create("DOGGO01a")
        unit = enrolld.EnrollmentUnitDict(external_key="s-1", curriculum=KEY, status="enrolled")
        assert client.program.enroll(KEY, create=True, enrollments=[unit]) == {"s-1": "enrolled"}
        failures = client.program.link(KEY, links={"s-1": "DOGGO01a", "s-2": enrolld.by_callsign("DOGGO01a")})
        assert failures["s-2"].code == "not_found" and list(failures) == ["s-2"]

"""The pages: functions from records to HTML. Every value is escaped where it enters."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import enrolld

STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 25%, transparent); }
body { font: 1.05rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; }
form, article { border: 1px solid var(--line); border-radius: .6rem; padding: 1rem; margin: 1rem 0; }
section { border-top: 1px solid var(--line); padding: .7rem 0; }
form.small { display: inline; border: 0; padding: 0; margin: 0 .5rem 0 0; }
label { display: block; margin: .5rem 0; }
input, textarea { font: inherit; padding: .4rem .6rem; width: 100%; box-sizing: border-box; }
input[type=number], form.small input { width: 9rem; }
button { font: inherit; padding: .4rem 1rem; margin-top: .5rem; cursor: pointer; }
code { font-size: 1.15em; letter-spacing: .05em; user-select: all; overflow-wrap: anywhere; }
[role=alert] { border-left: .3rem solid #c33; padding-left: 1rem; }
"""


def page(title: str, *parts: str) -> str:
    """A page; its parts are HTML already."""
    head = f'<title>{escape(title)}</title><link rel="stylesheet" href="/style.css">'
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{viewport}{head}</head>\n'
        f"<body><main><h1>{escape(title)}</h1>\n{body}\n</main></body></html>\n"
    )


def _form(action: str, button: str, *fields: str, small: bool = False) -> str:
    style = ' class="small"' if small else ""
    inside = "".join(fields)
    return f'<form method="post" action="{escape(action)}"{style}>{inside}<button>{escape(button)}</button></form>'


def _text(name: str, label: str, rest: str = "required") -> str:
    spelling = 'autocomplete="off" autocapitalize="characters" spellcheck="false"'
    return f'<label>{escape(label)} <input name="{escape(name)}" {spelling} {rest}></label>'


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'


def front() -> str:
    """The page of a stranger: they log in by a code."""
    return page(
        "Welcome",
        "<p>Whoever let you in has given you a login code. It works once.</p>",
        _form("/login", "Log in", _text("code", "Login code")),
    )


def invitation(invitecode: str, is_open: bool) -> str:
    """The page behind an invite link."""
    if not is_open:
        return page("This invitation is over", "<p>Ask for a new link where you have this one from.</p>")
    request = (
        '<label>Signing request (PEM), if you want a certificate <textarea name="csr" rows="3"></textarea></label>'
    )
    return page(
        "You are invited",
        "<p>Choose the callsign by which you will be known.</p>",
        _form(f"/invite/{invitecode}", "Enroll", _text("callsign", "Callsign"), request),
    )


def enrolled(enrollment: enrolld.Enrollment) -> str:
    """The page of somebody who now waits to be let in."""
    return page(
        f"You are enrolled as {enrollment.callsign}",
        "<p>Tell this code to the person who invited you. They answer with a login code.</p>",
        f"<p><code>{escape(enrollment.approvecode or '')}</code></p>",
    )


def home(person: enrolld.Person, invitations: Iterable[tuple[enrolld.Pool, list[enrolld.Enrollment]]]) -> str:
    """The page of somebody who has logged in: their invitations, and who came by them."""
    certificate = '<p><a href="/certificate">Your certificate</a></p>' if person.certificate else ""
    number = '<label>For how many people? <input name="max_uses" type="number" min="1" value="10" required></label>'
    return page(
        f"Hello, {person.callsign}",
        certificate,
        _form("/invitations", "Make an invite link", number),
        *(_invitation(pool, enrollments) for pool, enrollments in invitations),
        _form("/logout", "Log out", small=True),
    )


def _invitation(pool: enrolld.Pool, enrollments: list[enrolld.Enrollment]) -> str:
    link = f"/invite/{pool.invitecode or ''}"
    of = "" if pool.max_uses is None else f" of {pool.max_uses}"
    return (
        f'<article><p><a href="{escape(link)}"><code>{escape(link)}</code></a>: {pool.uses}{of} have enrolled</p>'
        + "".join(_enrollment(enrollment) for enrollment in enrollments)
        + _form(f"/invitations/{pool.pk}/withdraw", "Withdraw this link", small=True)
        + "</article>"
    )


def _enrollment(enrollment: enrolld.Enrollment) -> str:
    callsign = _hidden("callsign", enrollment.callsign)
    if enrollment.state == "pending":
        code = _text("approvecode", "Their approve code")
        forms = _form("/approve", "Let in", callsign, code, small=True)
        forms += _form("/reject", "Turn down", callsign, small=True)
    elif enrollment.state == "approved":
        forms = _form("/login-code", "Another login code", callsign, small=True)
    else:
        forms = ""
    return f"<section><strong>{escape(enrollment.callsign)}</strong>, {escape(enrollment.state)}<br>{forms}</section>"


def login_code(callsign: str, code: str) -> str:
    """The page with a login code, which is shown this once."""
    return page(
        f"{callsign} is in",
        "<p>Hand this login code on. It works once, and is not shown again.</p>",
        f"<p><code>{escape(code)}</code></p>",
        '<p><a href="/">Back</a></p>',
    )


def gate(callsign: str) -> str:
    """The page of a gate, which a machine with a certificate opens."""
    return page(f"Gate {callsign}", _form("/gate", "Admit", _text("ticket", "Ticket", "required autofocus")))


def admitted() -> str:
    """The page after a ticket was good."""
    return page("Come in", '<p>The ticket is spent.</p><p><a href="/gate">Next</a></p>')


def refused(title: str, message: str) -> str:
    """The page of a refusal."""
    return page(title, f'<p role="alert">{escape(message)}</p>', '<p><a href="/">To the beginning</a></p>')

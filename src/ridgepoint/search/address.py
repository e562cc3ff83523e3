"""The address of a study: the database that a search and its workers share, told everywhere without its password."""

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ridgepoint.errors import InputError, shown
from ridgepoint.units import is_text

DRIVERS = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite"}
# What may follow the database's name after a '?': what libpq takes, but for secrets.
OPTIONS = {
    "postgresql": (
        "application_name", "connect_timeout", "host", "hostaddr", "keepalives", "port", "sslcert", "sslkey", "sslmode",
        "sslrootcert", "target_session_attrs",
    ),
    "sqlite": (),
}  # fmt: skip
FORMS = "postgresql://[user@]host[:port]/database, or sqlite:///FILE on one machine"
LONGEST = 1000


def parse_study(url: str) -> URL:
    """An address, taken apart.

    Raises:
        InputError: If it is no database's address; the message holds nothing that may be a password.
    """
    if len(url) > LONGEST or not is_text(url) or not url.isprintable():
        raise _no_address(url)
    try:
        address = make_url(url)
        options = OPTIONS[address.drivername]
    except (ArgumentError, KeyError, ValueError):
        raise _no_address(url) from None
    for key, value in address.query.items():
        if key not in options:
            others = f"Allowed: {', '.join(options)}" if options else "Leave it out"
            raise InputError(f"the address of a study takes no '?{shown(key)[1:-1]}='. {others}")
        if not isinstance(value, str) or not value.isprintable():
            raise InputError(f"the address of a study: '?{key}=' is given twice, or holds control characters")
    whole = (address.username, address.password, address.host, address.database)
    if not all(part is None or part.isprintable() for part in whole):
        raise _no_address(url)
    if address.drivername == "sqlite":
        server = any(whole[:3]) or address.port is not None
        if server or address.database in (None, "", ":memory:"):
            raise _no_address(url)
    return address


def check_study(url: str) -> None:
    """Make sure that an address can be written down: run folders keep what was asked.

    Raises:
        InputError: If it is no database's address, or holds a password.
    """
    if parse_study(url).password is not None:
        raise InputError(
            "--study holds a password, which the run folder would keep. Leave it out, and put it into ~/.pgpass or the "
            "variable PGPASSWORD"
        )


def told_study(url: str) -> str:
    """An address for people, its password as three asterisks.

    Raises:
        InputError: If it is no database's address.
    """
    return parse_study(url).render_as_string(hide_password=True)


def _no_address(url: str) -> InputError:
    """What was given is shown as far as no password can be in it."""
    scheme, sign, _ = url.partition("://")
    given = "..." if any(each in scheme for each in ":@=?") else f"{scheme}{sign and '://...'}"
    return InputError(f"{shown(given)} is no address of a study. Allowed: {FORMS}")

"""The keys that rows of networks and spaces may have, and what they decide: fields of blocks and heads, shorthands."""

from functools import lru_cache

from ridgepoint.arch.blocks import BLOCKS
from ridgepoint.arch.heads import HEADS, HeadBase
from ridgepoint.arch.part import Look, Part
from ridgepoint.arch.roles import EXPAND_RATIO, REPEAT, ROLES, SE_RATIO, Role, roles_of

SHORTHANDS = {role.plain: role for role in (EXPAND_RATIO, SE_RATIO, REPEAT)}


@lru_cache(maxsize=1)
def vocabulary() -> dict[str, Role]:
    """Every key that has a role, in the order of the roles."""
    kinds: list[type[Part]] = [*BLOCKS.values(), *HEADS.values()]
    found = SHORTHANDS | {key: role for kind in kinds for key, role in roles_of(kind).items()}
    return dict(sorted(found.items(), key=lambda each: ROLES.index(each[1])))


def keys_of(*roles: Role) -> frozenset[str]:
    """The keys with one of the roles."""
    return frozenset(key for key, role in vocabulary().items() if role in roles)


def keys_that_decide(what: str) -> frozenset[str]:
    """The keys that decide a width or an operator."""
    return frozenset(key for key, role in vocabulary().items() if role.decides == what)


def look_of(kind: str) -> Look:
    """How rows of a kind are shown: of a block by its tag, or of a head."""
    return BLOCKS[kind].general_look() if kind in BLOCKS else HeadBase.general_look()

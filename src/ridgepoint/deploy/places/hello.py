"""What a device tells of itself; bounded, for nothing that comes from there is trusted."""

from typing import Annotated

import msgspec

Text = Annotated[str, msgspec.Meta(max_length=10_000)]
Short = Annotated[str, msgspec.Meta(max_length=200)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1e6)]


class Core(msgspec.Struct, frozen=True):
    """One of a device's cores, as far as its system tells."""

    cpu: Count
    capacity: Short | None = None
    most_mhz: Share | None = None
    governor: Short | None = None


class Hello(msgspec.Struct, frozen=True):
    """What a device is; `identity` stays, whatever its address is; `emulated_by`, see `ridgepoint.system`."""

    identity: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{16}\Z")]
    machine: Short
    system: Short
    python: Short | None
    executable: Short | None
    cpu_info: Text
    cores: Annotated[list[Core], msgspec.Meta(max_length=256)]
    memory_bytes: Count | None
    temperature_c: float | None
    runtimes: dict[Short, Short]
    emulated_by: Short | None = None

"""How hot Android says that a device is.

Source: developer.android.com, PowerManager: from THERMAL_STATUS_LIGHT on it is slowed down; platform/frameworks/base,
ThermalManagerService and Temperature, of which type 0 is the processor.
"""

import re

_STATUS = re.compile(r"^\s*Thermal Status: (\d)", re.MULTILINE)
_CPU = re.compile(r"Temperature\{mValue=(\d{1,3}(?:\.\d+)?), mType=0,")
_CURRENT = "Current temperatures from HAL:"


def read(told: str) -> tuple[float | None, bool]:
    """The hottest processor in degrees Celsius, None where it is not told; and whether the device is slowed down.

    Args:
        told: By `dumpsys thermalservice`; temperatures that it remembers count where it tells none of now.
    """
    status = _STATUS.search(told)
    now = told.partition(_CURRENT)[2]
    celsius = [float(each) for each in _CPU.findall(now) or _CPU.findall(told)]
    return max(celsius, default=None), status is not None and status[1] != "0"

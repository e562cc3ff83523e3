"""What not every system has is asked for in one file, and where it is missing all goes on without it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ridgepoint
from ridgepoint import system

SOURCE = Path(ridgepoint.__file__).parent
MODULES = {"_winapi", "ctypes", "fcntl", "grp", "msvcrt", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
OF_OS = re.compile(
    "sched_|fork|pread|pwrite|posix_|sysconf|confstr|register_at_fork|gete?[ug]id|[gs]etpgid|setsid|kill|nice|"
    "[gs]etpriority|getloadavg|mkfifo|mknod|statvfs|memfd_|wait|uname|l?chown|chroot|openpty|sendfile|sync|"
    "O_DIRECT|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC"
)
SIGNALS = {"SIGINT", "SIGTERM", "signal", "getsignal", "default_int_handler", "SIG_DFL", "SIG_IGN"}
PROCESSES = {"get_context", "get_all_start_methods", "set_start_method"}
PATHS = ("/proc", "/sys/", "/dev/", "/etc/", "/tmp")


def not_everywhere(code: str) -> list[str]:
    """What a file asks for that Linux, macOS and Windows do not all have."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names if each.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom):
            found += [str(node.module)] if str(node.module).split(".")[0] in MODULES else []
            found += [each.name for each in node.names if forbidden(str(node.module), each.name)]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found += [node.attr] if forbidden(node.value.id, node.attr) else []
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            word = node.value
            found += [word] if word.startswith(PATHS) or word in ("fork", "forkserver", "linux", "win32") else []
        elif isinstance(node, ast.keyword) and node.arg == "preexec_fn":
            found.append(node.arg)
    return found


def forbidden(module: str, name: str) -> bool:
    return (
        (module == "os" and OF_OS.match(name) is not None)
        or (module == "signal" and name not in SIGNALS)
        or (module == "multiprocessing" and name in PROCESSES)
        or (module, name) in {("sys", "platform"), ("platform", "system"), ("platform", "libc_ver")}
    )


@pytest.mark.parametrize(
    "code",
    [
        "import fcntl",
        "from resource import getrlimit",
        "import os\nos.sched_getaffinity(0)",
        "from os import fork",
        "import signal\nsignal.alarm(1)",
        "from pathlib import Path\nPath('/proc/stat').read_text()",
        "import multiprocessing\nmultiprocessing.get_context('spawn')",
        "import sys\nprint(sys.platform)",
        "dict(how='fork')",
    ],
)
def test_what_is_looked_for_is_found(code: str):
    assert not_everywhere(code)


def test_one_file_asks_for_what_not_every_system_has():
    files = {path.relative_to(SOURCE).as_posix(): path for path in SOURCE.rglob("*.py")}
    asking = {name: asked for name, path in files.items() if (asked := not_everywhere(path.read_text("utf-8")))}
    assert set(asking) == {"system.py"}, asking


@pytest.mark.parametrize(
    ("kernel", "modalias", "seen", "told"),
    [
        ("x86_64\n", None, "aarch64", "x86_64"),
        ("aarch64\n", None, "x86_64", "aarch64"),
        ("x86_64\n", None, "i686", None),
        ("aarch64\n", None, "armv7l", None),
        ("arm\n", None, "armv7l", None),
        (None, "cpu:type:x86,ven0002fam0019mod0001:feature:,0000\n", "aarch64", "x86"),
        (None, "cpu:type:x86,ven0002fam0019mod0001:feature:,0000\n", "x86_64", None),
        ("toaster\n", "cpu:type:x86,ven0002\n", "riscv64", "x86"),
        ("x86_64\n", None, "toaster", None),
        ("\n", None, "aarch64", None),
        (None, None, "aarch64", None),
    ],
)
def test_an_emulated_processor_is_told_by_what_the_kernel_is_of(
    kernel: str | None, modalias: str | None, seen: str, told: str | None, tmp_path: Path, monkeypatch
):
    for name, content in (("_KERNEL", kernel), ("_MODALIAS", modalias)):
        monkeypatch.setattr(system, name, tmp_path / name)
        if content is not None:
            (tmp_path / name).write_text(content)
    assert system.emulated_by(seen) == told


# A system that is no Linux and no Windows, forks nothing and shows no /proc.
BARE = """
import multiprocessing, os, sys
from pathlib import Path
from ridgepoint import system
from ridgepoint.deploy.cores import choose_cores, on_core
from ridgepoint.deploy.disturbance import Disturbance
from ridgepoint.deploy.memory import peak_memory_bytes
from ridgepoint.deploy.memory_limit import limited_memory
from ridgepoint.cost.host import cpu_name, most_macs_per_s
from ridgepoint.nn.memory import keep_freed_memory

sys.platform = "elsewhere"
del os.sched_getaffinity, os.sched_setaffinity, os.pread, os.sysconf
multiprocessing.get_all_start_methods = lambda: ["spawn"]
none = Path("/not/there")
system._CPUS, system._SELF, system._TICKS, system._CPU_INFO, system._KERNEL, system._MODALIAS = (none,) * 6

assert choose_cores(1) == ()
with on_core(()), limited_memory(1, 1):
    pass
with Disturbance() as disturbance:
    sum(range(100_000))
    lost = disturbance.lost_s()
    assert 0.0 <= lost < 1.0 and disturbance.load() == 0.0, (lost, disturbance.load())
assert peak_memory_bytes(none, runtime="onnxruntime", threads=1) is None
assert cpu_name() and most_macs_per_s(1) is None
assert system.fork_context() is None and system.physical_memory_bytes() is None
assert system.emulated_by("aarch64") is None
keep_freed_memory()
print("went on")
"""


def test_all_goes_on_where_all_of_it_is_missing():
    done = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, timeout=120)
    assert done.stdout == "went on\n", done.stderr


def test_android_is_linux_to_us():
    code = (
        "import sys; sys.platform = 'android'; from ridgepoint.system import allowed_cpus; print(len(allowed_cpus()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == f"{len(system.allowed_cpus())}\n", done.stderr

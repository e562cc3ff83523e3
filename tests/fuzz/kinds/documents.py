"""Documents made by hand to be nasty: bombs, tags, depth, encodings, and files that are none; for every reader."""

import os
import random
from collections.abc import Callable
from pathlib import Path

from harness import Case

NETWORK = "name: x\ninput: [3, 32, 32]\nstem:\n  - {block: conv, out_channels: 8, stride: 2}\nstages: []\n"
ROW = "  - {block: conv, out_channels: 8}\n"
DEEP = (1, 50, 99, 100, 101, 500, 5000, 100_000)


def _bomb(rng: random.Random) -> str:
    """Aliases of aliases; in a mapping, a list, a row or a choice."""
    levels, width = rng.choice(((3, 3), (9, 9), (26, 2), (99, 2), (5, 40)))
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * width)}]" for n in range(levels)]
    return "\n".join(lines) + f"\nname: *a{levels}\nstages: *a{levels}\n"


def _deep(rng: random.Random) -> str:
    depth = rng.choice(DEEP)
    opening, closing = rng.choice((("[", "]"), ("{a: ", "}"), ("- ", ""), ("{choice: [", "]}"), ("? ", "")))
    return rng.choice(("", "a: ", NETWORK + "head: ")) + opening * depth + "1" + closing * rng.choice((0, depth))


def _number(rng: random.Random) -> str:
    digits = rng.choice((1, 18, 19, 20, 400, 5000, 200_000))
    number = rng.choice(("-", "")) + rng.choice(
        ("9" * digits, "0x" + "f" * digits, "1e" + "9" * digits, "1:30" * digits)
    )
    return NETWORK.replace(rng.choice(("32", "8", "x", "2")), number, 1)


def _repeat(rng: random.Random) -> str:
    repeat = rng.choice((9_000, 10_000, 100_000, 10**9, 10**18))
    return NETWORK.replace("stride: 2", f"stride: 2, repeat: {repeat}") + rng.choice(("", "head: {head: tokens}\n"))


def _many(rng: random.Random) -> str:
    rows = rng.choice((1_000, 10_000, 30_000))
    return rng.choice(
        (
            NETWORK.replace("stages", ROW * rows + "stages"),
            NETWORK.replace("stages: []", "stages:\n" + f"  - blocks: [{ROW.strip(' -').strip()}]\n" * (rows // 4)),
            NETWORK.replace("out_channels: 8", f"out_channels: {{choice: {list(range(8, 8 + rows))}}}"),
            NETWORK + "".join(f"x{n}: 1\n" for n in range(rows)),
            "[" + "1," * 300_000 + "]",
        )
    )


def _shared(rng: random.Random) -> str:
    """Choices with one name in rows that may be left out: as many states as there are subsets of them."""
    names = rng.choice((5, 20, 60))
    row = "{{block: conv, out_channels: 8, kernel: {{choice: [3, 5], name: k{0}}}}}"
    rows = "".join(f"  - {{choice: [null, {row.format(n)}]}}\n" for n in [*range(names), *range(names)])
    return NETWORK.replace("stages", rows + "stages")


def _text(rng: random.Random) -> str:
    """A name, a key or a value that is long, or does odd things to a terminal."""
    text = rng.choice(
        ("x" * 199, "x" * 201, "x" * 500_000, '"\\e[2J"', '"\\0"', '"a\\nb"', "'[red]'", "\u202eabc", "😀" * 99)
    )
    return rng.choice(
        (NETWORK.replace("name: x", f"name: {text}"), NETWORK + f"{text}: 1\n", NETWORK + f"head: {text}\n")
    )


def _syntax(rng: random.Random) -> str:
    return rng.choice(
        (
            "",
            "null",
            "- 1",
            "a: !!python/object/apply:os.system ['touch hacked']",
            "a: !!python/name:os.system",
            "!<tag:yaml.org,2002:map> {name: x}",
            "%TAG ! tag:x,2000:\n---\na: !b 1",
            "name: 2001-99-99",
            "&q [*q]",
            "&q {a: *q}",
            "*a",
            "{a: 1, a: 2}",
            "{[1]: 2}",
            "{null: 1, 5: 2}",
            "--- a\n--- b\n",
            "<<: {name: x}",
            "a: |\n  b\n c",
            "\t- a",
            "name: x\nbase: net.yaml\n",
            "name: x\nbase: mobileone_s0\nwidth: 0\n",
            "name: x\nbase: mobileone_s0\nwidth: 1e300\n",
        )
    )


def _encoded(rng: random.Random, text: str) -> bytes:
    if rng.random() < 0.8:
        return text.encode("utf-8", "surrogatepass")
    return rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"")) + text.encode(
        rng.choice(("utf-8", "utf-16", "utf-16-le", "utf-32", "utf-7", "cp037")), "replace"
    )


def _pipe(path: Path) -> None:
    os.mkfifo(path)


FILES: tuple[Callable[[Path], object], ...] = (
    _pipe,
    Path.mkdir,
    lambda path: path.symlink_to("/dev/zero"),
    lambda path: path.symlink_to("/dev/stdin"),
    lambda path: path.symlink_to(path),
    lambda path: path.symlink_to(path.parent / "nowhere"),
    lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 50_000_000),
    lambda path: None,
)
TEXTS = (_bomb, _deep, _number, _repeat, _many, _shared, _text, _syntax)
NAMES = ("net.yaml", "net.yml", "net.json", "net.YAML")


def make(rng: random.Random, folder: Path) -> Case:
    """One nasty document or file under one of the names that documents have, for a verb that reads it."""
    name = rng.choice(NAMES)
    if rng.random() < 0.15:
        rng.choice(FILES)(folder / name)
    else:
        (folder / name).write_bytes(_encoded(rng, rng.choice(TEXTS)(rng)))
    words = rng.choice(
        (
            ("show", name),
            ("show", name, "--json"),
            ("show", name, "--svg", "a.svg"),
            ("cost", name),
            ("cost", name, "--json"),
            ("cost", "mobileone_s0", "--device", name),
            ("sweep", "mobileone_s0", name),
            ("train", name, "no-data"),
            ("train", "mobileone_s0", "no-data", "--recipe", name),
            ("fit", "no-data", "--latency", "5ms", "--space", name),
            ("fit", "no-data", "--latency", "5ms", "--recipe", name),
            ("search", name, "no-data", "--latency", "5ms"),
            ("calibrate", "--model", name, "--table", "table.json"),
            ("calibrate", "--table", name, "--model", "nothing"),
        )
    )
    return Case(words=words, check=lambda done: "something was run" if (folder / "hacked").exists() else None)

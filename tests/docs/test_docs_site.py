"""The built site: it is made of what the code says, every link leads somewhere, and nothing comes from elsewhere."""

import re
import typing
from pathlib import Path

import msgspec

from ridgepoint.arch.network import Stage
from ridgepoint.fit.policy import POLICY
from ridgepoint.run.result import FitResult
from ridgepoint.search.methods import method_names

LOADED = re.compile(r"<(?:script|img|iframe|link|source)\b[^>]*?\b(?:src|href)=[\"']?(https?:)?//[^>]*>")


def text_of(page: Path) -> str:
    return re.sub(r"<[^>]+>", "", page.read_text())


def test_blocks_results_rules_and_methods_are_those_of_the_code(site: Path):
    (blocks,) = (each for each in msgspec.structs.fields(Stage) if each.name == "blocks")
    language, runs, choosing = ((site / f"{name}.html").read_text() for name in ("language", "runs", "choosing"))
    for block in typing.get_args(typing.get_args(blocks.type)[0]):
        assert f">{block.__struct_config__.tag}</code>" in language
        assert all(f"<code>{each.encode_name}</code>" in language for each in msgspec.structs.fields(block))
    assert all(f"<code>{each.encode_name}</code>" in runs for each in msgspec.structs.fields(FitResult))
    assert all(f"<code>{name}</code>" in choosing for name in [*POLICY.rules(), *method_names()])
    assert f"the search gets {100 * POLICY.search_share:g} %" in text_of(site / "choosing.html").replace("\n", " ")
    assert not any("{{" in text_of(page) for page in site.glob("*.html"))


def test_schemas_lie_beside_the_pages(site: Path):
    schema = msgspec.json.decode((site / "fit.schema.json").read_bytes())
    assert schema["$ref"] == "#/$defs/FitResult" and "accuracy" in schema["$defs"]["FitResult"]["properties"]


def test_nothing_is_fetched_from_elsewhere(site: Path):
    pages = [*site.glob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 8
    for page in pages:
        assert not LOADED.search(page.read_text()), f"{page.name}: {LOADED.search(page.read_text())}"
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", page.read_text()), page.name


def test_search_has_an_index_of_every_page(site: Path):
    index = msgspec.json.decode((site / "search" / "search_index.json").read_bytes())
    found = {row["location"].partition("#")[0] for row in index["docs"]}
    assert {page.name for page in site.glob("*.html")} - {"404.html"} <= found

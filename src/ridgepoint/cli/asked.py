"""What the user typed, apart from what is as usual: a resumed run is held to the first alone."""

import typer

FIELDS = {"latency": "latency_ms", "time": "time_s"}


def asked(context: typer.Context) -> frozenset[str]:
    """The fields of the settings that the command line names."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    typed = (name for name, source in sources.items() if source and source.name == "COMMANDLINE")
    return frozenset(FIELDS.get(name, name) for name in typed)

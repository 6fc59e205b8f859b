"""What the tests of the bench are given: outputs that real tools wrote, and results made up by hand."""

from pathlib import Path

from bench.results import Results

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> str:
    """What a tool wrote on some day."""
    return (RECORDED / name).read_text()


def results(values: dict[str, dict[str, list[float | None]]]) -> Results:
    """Results of a run with these values, on all ways that are named."""
    ways = {way: f"{way} 1.0" for rounds in values.values() for way in rounds}
    return Results(ways=ways, values=values, rounds=2, seconds=4)

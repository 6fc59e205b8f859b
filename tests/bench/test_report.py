"""The page says what was measured, what was not, and why."""

from bench.loads.every import every
from bench.report import page, table, tables
from tests.bench.given import results


def test_a_table_is_markdown_in_line() -> None:
    assert table(["way", "Gbit/s"], [["aditus", "9.1"], ["ssh", "10"]]) == (
        "| way    | Gbit/s |\n"
        "| ------ | ------ |\n"
        "| aditus | 9.1    |\n"
        "| ssh    | 10     |"
    )  # fmt: skip


def test_a_load_is_shown_with_figures_and_ratios() -> None:
    run = results({"bulk.down": {"aditus": [9.0, 12.0], "ssh": [6.0, 6.0]}})
    said = tables(run, every(quick=False))
    assert "| one stream down, Gbit/s | 10.50 (9.00–12.00) | 6.00 |" in said
    assert "| one stream down (more is better) | 1.75 (1.50–2.00) |" in said
    assert "HTTP, keep-alive" not in said, "it was not measured"


def test_three_hops_have_a_section_of_their_own_and_meet_no_two_hops_in_a_table() -> None:
    ways: dict[str, list[float | None]] = {"aditus": [9.0], "ssh": [6.0], "sidecar": [3.0], "ssh-both": [2.0]}
    run = results({"bulk.up": ways})
    for said in (page(run, every(quick=False)), tables(run, every(quick=False))):
        two, three = said.split("## Three hops")
        assert "| | aditus | ssh |" in " ".join(two.split())
        assert "| | sidecar | ssh-both |" in " ".join(three.split())
        assert "| one stream up (more is better) | 1.50 |" in " ".join(two.split())
        assert "| one stream up (more is better) | 1.50 |" in " ".join(three.split())
    del ways["sidecar"], ways["ssh-both"]
    assert "Three hops" not in page(run, every(quick=False)), "they were not measured"


def test_the_page_tells_what_is_missing_and_what_failed() -> None:
    run = results({"bulk.down": {"aditus": [9.0], "ssh": [6.0]}})
    run.missing["frp"] = "there is no go"
    run.failures.append("bulk on chisel: chisel server ended with exit code 1: no")
    said = page(run, every(quick=False))
    assert "not to be had here: there is no go" in said
    assert "* bulk on chisel: chisel server ended with exit code 1: no" in said
    assert "1.50 ×" in said
    assert "not measured" in said

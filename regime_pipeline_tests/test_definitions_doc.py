"""docs/definitions.md lists every threshold; `python -m regime_pipeline_tests.test_definitions_doc` mends it."""

from regime_pipeline_tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "definitions.md"
HEADING = "## Every threshold\n\n```toml\n"


def expected() -> str:
    text = PAGE.read_text("utf-8").partition(HEADING)[0].rstrip()
    policy = (REPOSITORY / "regime_pipeline" / "policy" / "policy.toml").read_text("utf-8")
    return f"{text}\n\n{HEADING}{policy}```\n"


def test_the_page_lists_the_policy_as_it_is() -> None:
    assert PAGE.read_text("utf-8") == expected()


if __name__ == "__main__":
    PAGE.write_text(expected(), "utf-8")

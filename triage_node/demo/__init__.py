"""``triage-node demo``: the whole node on loopback, a PACS of its own, made-up studies over real associations."""

from triage_node.demo.show import run

__all__ = ["run"]

"""``python -m triage_node`` and the command ``triage-node``: exit status 0, 1 (the thing failed) or 2 (usage)."""

from __future__ import annotations

import sys

from triage_node.core.errors import ConfigurationRejected, TriageError


def main() -> None:
    """Run the command line; errors made on purpose become one clear line, never a stack trace."""
    from triage_node.cli import app

    try:
        app()
    except ConfigurationRejected as error:
        sys.stderr.write(f"triage-node: {error}\n")
        sys.exit(2)
    except TriageError as error:
        sys.stderr.write(f"triage-node: {error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()

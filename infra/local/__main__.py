"""`python -m infra.local`: the stand-in alone, as tests and the demo start it."""

import argparse
import sys
from typing import cast

from infra.local.buckets import Rates
from infra.local.server import PortTaken, serve


def _rates(text: str) -> Rates:
    if text in {"real", "off"}:
        return cast("Rates", text)
    factor = float(text)
    if not 0 < factor < float("inf"):
        raise argparse.ArgumentTypeError("is real, off or a factor above 0")
    return factor


def main() -> int:
    """Serve as the arguments say; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description="A stand-in for AWS on one port.")
    parser.add_argument("--port", type=int, default=4566)
    parser.add_argument("--servers", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--rates", type=_rates, default="real")
    parser.add_argument("--stack", default="prelaunch")
    parser.add_argument("--until-stdin-closes", action="store_true")
    told = parser.parse_args()
    try:
        serve(
            told.port,
            told.servers,
            told.latency,
            told.rates,
            stack=told.stack,
            until_stdin_closes=told.until_stdin_closes,
        )
    except PortTaken as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())

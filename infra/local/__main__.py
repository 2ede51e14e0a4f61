"""`python -m infra.local`: the stand-in alone, as tests and the demo start it."""

import argparse
import sys

from infra.local.buckets import parse_rates
from infra.local.server import PortTaken, serve


def main() -> int:
    """Serve as the arguments say; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description="A stand-in for AWS on one port.")
    parser.add_argument("--port", type=int, default=4566)
    parser.add_argument("--servers", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--rates", type=parse_rates, default="real")
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
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{error}: the stand-in needs moto's server, which the local extra brings.\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.store.contract https://store.example.com`: what a store promises, tried."""

from __future__ import annotations

import argparse
import getpass
import sys
import time

import urllib3

from tests.store.contract import CHECKS, Broken, Store
from tests.store.contract.store import bucket_of_its_own


def main(arguments: list[str] | None = None) -> int:
    """Try every check, print a line for each; 1 where one fails."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.store.contract",
        description="Tries what Berth needs of an object store, in buckets that it makes and removes. "
        "Reads key id and secret key from two lines of standard input.",
    )
    parser.add_argument("endpoint", help="for example https://store.example.com:9000")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--ca", metavar="FILE", help="CA of the endpoint's certificate")
    given = parser.parse_args(arguments)
    if sys.stdin.isatty():
        key, secret = input("Key id: "), getpass.getpass("Secret key: ")
    else:
        key, secret = (sys.stdin.readline().strip() for _ in range(2))
    store = Store.at(given.endpoint, key, secret, given.region, given.ca)
    failed = 0
    for check in CHECKS:
        begun, said = time.monotonic(), "ok"
        try:
            with bucket_of_its_own(store) as own:
                check(own)
        except (Broken, urllib3.exceptions.HTTPError) as error:
            failed, said = failed + 1, f"FAILED: {error}"
        print(f"{check.__name__.replace('_', ' '):32} {time.monotonic() - begun:5.1f} s  {said}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

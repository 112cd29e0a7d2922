"""`python -m plugins ENGINE`: the process that Pulumi's CLI starts, with the address that its log listens on."""

import os
import sys

# Commands are started beside busy gRPC threads, and gRPC's own handlers for that only get in the way.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"

from plugins.host import main

if __name__ == "__main__":
    main(sys.argv[-1])

"""Opens connections from one address, says a part of a ClientHello on each, and tells how each ended;
with a sixth argument, also what became of them later."""

import socket
import sys
import time

host, port, source, count, seconds, *again = sys.argv[1:]
kept = []
for _ in range(int(count)):
    one = socket.socket()
    one.settimeout(0.5)
    one.bind((source, 0))
    try:
        one.connect((host, int(port)))
        one.sendall(b"\x16\x03\x01\x02\x00")
        kept.append(one)
        print("open", flush=True)
    except ConnectionRefusedError:
        print("refused", flush=True)
    except TimeoutError:
        one.close()
        print("silent", flush=True)
time.sleep(float(seconds))
for one in kept if again else []:
    try:
        one.sendall(b"more")
        one.recv(1)
    except ConnectionResetError:
        print("thrown out")
    except TimeoutError:
        print("still open")

"""Accepts connections at the ports of its arguments and keeps each as long as its client does."""

import contextlib
import selectors
import socket
import sys

waiting = selectors.DefaultSelector()
for word in sys.argv[1:]:
    waiting.register(socket.create_server(("", int(word)), backlog=1024), selectors.EVENT_READ, "listener")
waiting.register(sys.stdin, selectors.EVENT_READ, "end")
print("listening", flush=True)
while True:
    for key, _ in waiting.select():
        if key.data == "end":
            sys.exit()
        one = key.fileobj
        assert isinstance(one, socket.socket)
        if key.data == "listener":
            waiting.register(one.accept()[0], selectors.EVENT_READ, "client")
            continue
        with contextlib.suppress(OSError):
            if one.recv(4096):
                continue
        waiting.unregister(one)
        one.close()

# SPDX-License-Identifier: GPL-2.0-or-later
"""slowline.py PORT BYTES_PER_SECOND

A slow line to 127.0.0.1:PORT: forwards TCP connections, and lets no more than so many bytes
per second come back, over all connections. Prints its own port. Ends when killed.
"""
import socket
import sys
import threading
import time

target, rate = int(sys.argv[1]), float(sys.argv[2])
lock = threading.Lock()
free_at = 0.0


def wait_for(n):
    global free_at
    with lock:
        free_at = max(free_at, time.monotonic()) + n / rate
        until = free_at
    time.sleep(max(0.0, until - time.monotonic()))


def pump(source, sink, limited):
    try:
        while data := source.recv(16384):
            if limited:
                wait_for(len(data))
            sink.sendall(data)
    except OSError:
        pass
    for s in (source, sink):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client):
    try:
        server = socket.create_connection(("127.0.0.1", target), 5)
        server.settimeout(None)
    except OSError:
        client.close()
        return
    back = threading.Thread(target=pump, args=(server, client, True), daemon=True)
    back.start()
    pump(client, server, False)
    back.join()
    client.close()
    server.close()


listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

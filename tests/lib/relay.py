"""Passes connections on: relay.py FROM TO PORT...   from each port of one address to the same port of another."""

import socket
import sys
import threading


def pump(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
    except OSError:
        pass
    for end in (one, other):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(server, target):
    while True:
        client, _ = server.accept()
        try:
            behind = socket.create_connection(target, timeout=5)
        except OSError:
            client.close()
            continue
        behind.settimeout(None)
        for pair in ((client, behind), (behind, client)):
            threading.Thread(target=pump, args=pair, daemon=True).start()


def main():
    here, there, *ports = sys.argv[1:]
    for port in map(int, ports):
        threading.Thread(target=serve, args=(socket.create_server((here, port), backlog=64), (there, port)), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()

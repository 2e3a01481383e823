# SPDX-License-Identifier: Apache-2.0
#
# fake_server.py - a server of known manners, at FOLDER/PID.sock and on a free port of loopback, for the tests of
# sonde fetch and sonde ps.  Prints its port, then serves one connection at a time until stdin ends.
#
# usage: fake_server.py MANNER FOLDER
# MANNER: good, or what is bad: refuse, silent, cut, endless, chunked, redirect, token
import os
import select
import socket
import sys

BODY = b"\x1f\x8b" + bytes(range(256)) * 300
STATUS = (b"pid 1\nprogram fake\nkinds cpu\nmode on\nhz 1000\nhz_effective 250\nsamples 99\nlost 1\n"
          b"http 127.0.0.1:6060\nof_the_future \x1b[2J\n")


def answer(conn, manner, asked):
    path = asked.split(b" ")[1]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
    text = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    refusal = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nX-Go-Pprof: 1\r\n\r\n"
    if manner == "silent":
        return False
    if manner == "refuse":
        conn.sendall(refusal + b"Unknown profile\x1b[2J\nmore\n")
    elif manner == "token" and b"\r\nAuthorization: Bearer s3cret\r\n" not in asked:
        conn.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\n\r\nno token\n")
    elif manner == "redirect":
        conn.sendall(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
    elif manner == "chunked":
        conn.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    elif manner == "endless":
        try:
            while True:
                conn.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000)
        except OSError:
            pass
    elif path == b"/debug/sonde/status":
        conn.sendall(text + STATUS)
    elif path == b"/debug/pprof/cmdline":
        conn.sendall(text + b"fake\0server")
    else:
        body = BODY[:1000] if manner == "cut" else BODY
        conn.sendall(head + b"X-Asked: " + path + b"\r\nContent-Length: %d\r\n\r\n" % len(BODY) + body)
    return True


def main():
    manner, folder = sys.argv[1:3]
    held = []
    at_unix = socket.socket(socket.AF_UNIX)
    at_unix.bind("%s/%d.sock" % (folder, os.getpid()))
    at_tcp = socket.socket()
    at_tcp.bind(("127.0.0.1", 0))
    at_unix.listen(16)
    at_tcp.listen(16)
    print(at_tcp.getsockname()[1], flush=True)
    while True:
        ready, _, _ = select.select([at_unix, at_tcp, sys.stdin], [], [])
        if sys.stdin in ready and not sys.stdin.read(1):
            return
        for listener in ready:
            if listener is sys.stdin:
                continue
            conn, _ = listener.accept()
            asked = b""
            while b"\r\n\r\n" not in asked:
                data = conn.recv(4096)
                if not data:
                    break
                asked += data
            if b"\r\n\r\n" in asked:
                with open(folder + "/asked", "ab") as f:
                    f.write(asked.split(b"\r\n")[0] + b"\n")
                if not answer(conn, manner, asked):
                    held.append(conn)
                    continue
            conn.close()


main()

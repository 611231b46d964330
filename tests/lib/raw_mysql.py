"""The MySQL protocol byte by byte, for tests that compare what two servers send. No driver stands between."""

import hashlib
import socket
import ssl
import struct

LONG_PASSWORD, FOUND_ROWS, LONG_FLAG, CONNECT_WITH_DB = 1, 2, 4, 8
COMPRESS, LOCAL_FILES, IGNORE_SPACE, PROTOCOL_41 = 1 << 5, 1 << 7, 1 << 8, 1 << 9
INTERACTIVE, SSL, TRANSACTIONS, SECURE = 1 << 10, 1 << 11, 1 << 13, 1 << 15
MULTI_STATEMENTS, MULTI_RESULTS, PS_MULTI_RESULTS, PLUGIN_AUTH = 1 << 16, 1 << 17, 1 << 18, 1 << 19
CONNECT_ATTRS, PLUGIN_AUTH_LENENC, EXPIRED, SESSION_TRACK, DEPRECATE_EOF = 1 << 20, 1 << 21, 1 << 22, 1 << 23, 1 << 24
OPTIONAL_METADATA, ZSTD, QUERY_ATTRIBUTES = 1 << 25, 1 << 26, 1 << 27
USUAL = (LONG_PASSWORD | LONG_FLAG | PROTOCOL_41 | TRANSACTIONS | SECURE | MULTI_RESULTS | PS_MULTI_RESULTS | PLUGIN_AUTH |
         PLUGIN_AUTH_LENENC | SESSION_TRACK | DEPRECATE_EOF)
MORE_RESULTS, CURSOR_EXISTS, LAST_ROW = 0x0008, 0x0040, 0x0080

(QUIT, INIT_DB, QUERY, FIELD_LIST, STATISTICS, PROCESS_KILL, DEBUG, PING, CHANGE_USER) = (1, 2, 3, 4, 9, 12, 13, 14, 17)
(PREPARE, EXECUTE, LONG_DATA, CLOSE, RESET, SET_OPTION, FETCH) = range(22, 29)
RESET_CONNECTION, BINLOG_DUMP = 31, 18

# Flags that a plain mysqld is not consistent about: that state changes follow; whether an index was used, which is the
# optimizer's choice by each server's own statistics; whether the statement was slow.
NOT_COMPARED = 0x4000 | 0x10 | 0x20 | 0x800


class Lost(Exception):
    """The server closed the connection."""


def lenenc(number):
    if number < 251:
        return bytes([number])
    if number < 1 << 16:
        return b"\xfc" + struct.pack("<H", number)
    if number < 1 << 24:
        return b"\xfd" + struct.pack("<I", number)[:3]
    return b"\xfe" + struct.pack("<Q", number)


def lenenc_text(data):
    return lenenc(len(data)) + data


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        piece = self.data[self.at:self.at + count]
        assert len(piece) == count, f"packet ends early: {self.data!r}"
        self.at += count
        return piece

    def number(self, count):
        return int.from_bytes(self.take(count), "little")

    def lenenc(self):
        first = self.number(1)
        return first if first < 251 else self.number({0xfc: 2, 0xfd: 3, 0xfe: 8}[first])

    def text(self):
        return self.take(self.lenenc())

    def zero_text(self):
        end = self.data.index(b"\0", self.at)
        piece = self.data[self.at:end]
        self.at = end + 1
        return piece

    def rest(self):
        return self.take(len(self.data) - self.at)

    def left(self):
        return len(self.data) - self.at


def scramble_native(password, salt):
    if not password:
        return b""
    one = hashlib.sha1(password).digest()
    mask = hashlib.sha1(salt + hashlib.sha1(one).digest()).digest()
    return bytes(a ^ b for a, b in zip(one, mask))


def scramble_sha2(password, salt):
    if not password:
        return b""
    one = hashlib.sha256(password).digest()
    mask = hashlib.sha256(hashlib.sha256(one).digest() + salt).digest()
    return bytes(a ^ b for a, b in zip(one, mask))


class Client:
    """One connection. Answers come as plain tuples that compare equal when the bytes mean the same."""

    def __init__(self, port, user="root", password="", database="", capabilities=USUAL, host="127.0.0.1", tls=None,
                 charset=255, timeout=60, plugin=None, attributes=None, before=b""):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.sequence = 0
        self.local_files = {}
        if before:
            self.socket.sendall(before)
        self.capabilities = capabilities | (CONNECT_WITH_DB if database else 0)
        self.log_in(user.encode(), password.encode(), database.encode(), tls, charset, plugin, attributes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.send(bytes([QUIT]), first=0)
        except OSError:
            pass
        self.socket.close()

    # packets

    def receive_exactly(self, count):
        while len(self.buffer) < count:
            piece = self.socket.recv(1 << 18)
            if not piece:
                raise Lost
            self.buffer += piece
        piece, self.buffer = self.buffer[:count], self.buffer[count:]
        return piece

    def receive(self):
        body = b""
        while True:
            header = self.receive_exactly(4)
            length = int.from_bytes(header[:3], "little")
            assert header[3] == self.sequence, f"sequence {header[3]}, expected {self.sequence}"
            self.sequence = (self.sequence + 1) & 0xff
            body += self.receive_exactly(length)
            if length < 0xffffff:
                return body

    def send(self, body, first=None):
        if first is not None:
            self.sequence = first
        while True:
            piece, body = body[:0xffffff], body[0xffffff:]
            self.socket.sendall(struct.pack("<I", len(piece))[:3] + bytes([self.sequence]) + piece)
            self.sequence = (self.sequence + 1) & 0xff
            if len(piece) < 0xffffff:
                return

    # login

    def log_in(self, user, password, database, tls, charset, plugin, attributes):
        greeting = Reader(self.receive())
        first = greeting.number(1)
        if first == 0xff:
            raise AssertionError(f"refused: {greeting.data!r}")
        self.server_version = greeting.zero_text().decode()
        self.thread_id = greeting.number(4)
        salt = greeting.take(8)
        greeting.take(1)
        offered = greeting.number(2)
        greeting.take(1)  # charset
        self.first_status = greeting.number(2)
        offered |= greeting.number(2) << 16
        greeting.take(11)
        salt += greeting.take(12)
        greeting.take(1)
        self.server_plugin = greeting.zero_text()
        self.offered = offered
        self.capabilities &= offered | SSL
        if attributes is not None:
            self.capabilities |= CONNECT_ATTRS & offered
        head = struct.pack("<IIB23x", (self.capabilities | (SSL if tls else 0)) & 0xffffffff, 1 << 24, charset)
        if tls:
            self.send(head)
            self.socket = tls.wrap_socket(self.socket)
        name = plugin or self.server_plugin
        answers = {b"mysql_native_password": scramble_native, b"caching_sha2_password": scramble_sha2}
        answer = answers[name](password, salt) if name in answers else b""
        if name == b"mysql_clear_password" and tls:
            answer = password + b"\0"
        body = head + user + b"\0" + lenenc_text(answer)
        if database:
            body += database + b"\0"
        body += name + b"\0"
        if attributes is not None and self.capabilities & CONNECT_ATTRS:
            pairs = b"".join(lenenc_text(k.encode()) + lenenc_text(v.encode()) for k, v in attributes.items())
            body += lenenc_text(pairs)
        self.send(body)
        self.finish_login(password, salt, answers, bool(tls))

    def finish_login(self, password, salt, answers, secure):
        while True:
            packet = Reader(self.receive())
            kind = packet.number(1)
            if kind in (0, 0xff):
                self.login = self.end_of(packet.data)
                return
            if kind == 0xfe:  # another plugin
                name = packet.zero_text()
                salt = packet.rest()[:20]
                if name == b"mysql_clear_password":
                    self.send(password + b"\0")
                else:
                    self.send(answers[name](password, salt))
            elif kind == 1 and packet.data == b"\x01\x04":
                if not secure:
                    raise AssertionError("full authentication is asked for without TLS")
                self.send(password + b"\0")

    # answers

    def end_of(self, body):
        """An OK, EOF or ERR packet."""
        reader = Reader(body)
        kind = reader.number(1)
        if kind == 0xff:
            number = reader.number(2)
            state = b""
            if body[3:4] == b"#":
                reader.take(1)
                state = reader.take(5)
            return ("error", number, state.decode(), reader.rest().decode("utf8", "replace"))
        if kind == 0xfe and not self.capabilities & DEPRECATE_EOF:
            warnings = reader.number(2)
            return ("eof", 0, 0, reader.number(2) & ~NOT_COMPARED, warnings, "", ())
        affected, insert_id = reader.lenenc(), reader.lenenc()
        status, warnings = reader.number(2), reader.number(2)
        info, changes = b"", []
        if self.capabilities & SESSION_TRACK:
            if reader.left():
                info = reader.text()
            if status & 0x4000 and reader.left():
                states = Reader(reader.text())
                while states.left():
                    what = states.number(1)
                    changes.append((what, states.text()))
        elif reader.left():
            info = reader.text()
        # Two things that a plain mysqld is not consistent about are left out: the flag that state changes follow, and the
        # entry about transactions (5), which MySQL tells now and then even where session_track_transaction_info is off.
        status &= ~NOT_COMPARED
        changes = [change for change in changes if change[0] != 5]
        return ("eof" if kind == 0xfe else "ok", affected, insert_id, status, warnings, info.decode("utf8", "replace"),
                tuple(sorted(changes)))  # MariaDB tells them in the order of a hash

    def column(self, body):
        r = Reader(body)
        texts = tuple(r.text().decode("utf8", "replace") for _ in range(6))
        r.lenenc()
        charset, length, kind, flags, decimals = r.number(2), r.number(4), r.number(1), r.number(2), r.number(1)
        r.take(2)
        default = r.rest()  # of COM_FIELD_LIST only
        return (*texts, charset, length, kind, flags, decimals, *([default] if default else []))

    def columns(self, count):
        found = [self.column(self.receive()) for _ in range(count)]
        if count and not self.capabilities & DEPRECATE_EOF:
            found.append(("metadata eof", *self.end_of(self.receive())[3:5]))
        return found

    def is_end(self, body):
        limit = 0xffffff if self.capabilities & DEPRECATE_EOF else 9
        return body[0] == 0xff or (body[0] == 0xfe and len(body) < limit)

    def rows(self):
        found = []
        while True:
            body = self.receive()
            if self.is_end(body):
                return found, self.end_of(body)
            found.append(body)

    def one_result(self):
        body = self.receive()
        if body[0] in (0, 0xff):
            return self.end_of(body)
        if body[0] == 0xfb:
            data = self.local_files.get(body[1:].decode())
            for at in range(0, len(data or b""), 60000):
                self.send(data[at:at + 60000])
            self.send(b"")
            return ("file", body[1:].decode(), self.end_of(self.receive()))
        reader = Reader(body)
        count = reader.lenenc()
        columns = self.columns(count) if not (self.capabilities & OPTIONAL_METADATA and reader.number(1) == 0) else []
        if columns and columns[-1][0] == "metadata eof" and columns[-1][1] & CURSOR_EXISTS:
            return ("cursor", columns)
        if self.capabilities & DEPRECATE_EOF and getattr(self, "wants_cursor", False):
            body = self.receive()
            end = self.end_of(body) if self.is_end(body) else None
            if end and end[0] != "error" and end[3] & CURSOR_EXISTS:
                return ("cursor", columns, end)
            if end:
                return ("rows", columns, [], end)
            rows, end = self.rows()
            return ("rows", columns, [body, *rows], end)
        rows, end = self.rows()
        return ("rows", columns, rows, end)

    def results(self):
        found = []
        while True:
            found.append(self.one_result())
            end = found[-1] if isinstance(found[-1][1], int) else found[-1][-1]
            if found[-1][0] == "cursor" or end[0] == "error" or not end[3] & MORE_RESULTS:
                return found

    # commands

    def command(self, code, body=b""):
        self.send(bytes([code]) + body, first=0)

    def query(self, text):
        self.command(QUERY, (b"\0\1" if self.capabilities & QUERY_ATTRIBUTES else b"") + as_bytes(text))
        return self.results()

    def simple(self, code, body=b""):
        """A command whose answer is one OK, EOF or ERR."""
        self.command(code, body)
        return self.end_of(self.receive())

    def prepare(self, text):
        """("prepared", id, parameters, columns, warnings) or an error."""
        self.command(PREPARE, as_bytes(text))
        body = self.receive()
        if body[0] == 0xff:
            return self.end_of(body)
        r = Reader(body)
        r.take(1)
        number, columns, parameters = r.number(4), r.number(2), r.number(2)
        r.take(1)
        warnings = r.number(2)
        return ("prepared", number, self.columns(parameters), self.columns(columns), warnings)

    def execute(self, number, types=None, nulls=(), values=(), flags=0):
        """`types`: (type, flags) pairs, None: as bound before; `values`: encoded bytes, b"" for NULL."""
        body = struct.pack("<IBI", number, flags, 1)
        count = len(nulls) if nulls else len(values)
        if count:
            bits = bytearray((count + 7) // 8)
            for i, null in enumerate(nulls):
                if null:
                    bits[i // 8] |= 1 << i % 8
            body += bytes(bits) + (b"\1" if types is not None else b"\0")
            if types is not None:
                body += b"".join(struct.pack("<BB", *one) for one in types)
            body += b"".join(values)
        self.command(EXECUTE, body)
        self.wants_cursor = bool(flags & 1)
        try:
            return self.results()
        finally:
            self.wants_cursor = False

    def fetch(self, number, count):
        self.command(FETCH, struct.pack("<II", number, count))
        return self.rows()

    def close_statement(self, number):
        self.command(CLOSE, struct.pack("<I", number))

    def reset_statement(self, number):
        return self.simple(RESET, struct.pack("<I", number))

    def long_data(self, number, parameter, data):
        self.command(LONG_DATA, struct.pack("<IH", number, parameter) + data)

    def field_list(self, table, wildcard=""):
        self.command(FIELD_LIST, table.encode() + b"\0" + wildcard.encode())
        found = []
        while True:
            body = self.receive()
            if self.is_end(body):
                return found, self.end_of(body)
            found.append(self.column(body))

    def change_user(self, user, password="", database="", charset=255, plugin=b"mysql_native_password"):
        body = user.encode() + b"\0" + b"\0" + database.encode() + b"\0" + struct.pack("<H", charset) + plugin + b"\0"
        self.command(CHANGE_USER, body)
        answers = {b"mysql_native_password": scramble_native, b"caching_sha2_password": scramble_sha2}
        self.finish_login(password.encode(), b"", answers, isinstance(self.socket, ssl.SSLSocket))
        return self.login


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def text_row(body):
    """The values of a text row."""
    r, values = Reader(body), []
    while r.left():
        if body[r.at] == 0xfb:
            r.take(1)
            values.append(None)
        else:
            values.append(r.text())
    return tuple(values)

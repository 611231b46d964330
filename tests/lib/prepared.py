"""Prepared statements of the binary protocol, which pymysql does not speak, over its connection."""

import struct

from pymysql.constants import COMMAND


class Prepared:
    """A statement without a result set; its parameters are strings and integers."""

    def __init__(self, connection, sql):
        self.connection = connection
        connection._execute_command(COMMAND.COM_STMT_PREPARE, sql)
        _, self.number, columns, self.parameters = struct.unpack_from("<BIHH", connection._read_packet().get_all_data())
        assert columns == 0, f"{sql} has a result set"
        for _ in range(self.parameters + 1 if self.parameters else 0):
            connection._read_packet()  # definitions, and EOF

    def execute(self, *values):
        """Affected rows and the last insert id."""
        assert len(values) == self.parameters
        types, data = b"", b""
        for value in values:
            if isinstance(value, int):
                types += b"\x08\x00"
                data += struct.pack("<q", value)
            else:
                text = value.encode()
                assert len(text) < 251
                types += b"\xfd\x00"
                data += bytes([len(text)]) + text
        body = struct.pack("<IBI", self.number, 0, 1)
        if values:
            body += bytes((len(values) + 7) // 8) + b"\x01" + types + data
        self.connection._execute_command(COMMAND.COM_STMT_EXECUTE, body)
        self.connection._read_query_result()
        return self.connection._result.affected_rows, self.connection._result.insert_id

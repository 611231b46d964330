"""A light load that greets through vtgate and keeps a ledger: which greetings were acknowledged, which are left open."""

import collections
import threading
import time
import uuid

import pymysql

PAUSE_AFTER_ERROR = 0.05


class Ledger:
    """with Ledger(cluster, writers=4) as ledger: ...   Greets while entered. Thread-safe to read at any time.

    A greeting is acknowledged once COMMIT has returned. One whose call failed at any point is open: it may be there or
    not, but not twice.
    """

    def __init__(self, cluster, writers=4):
        self.cluster = cluster
        self.run = uuid.uuid4().hex[:12]
        self.acknowledged = []
        self.open = []
        self.errors = collections.Counter()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(writers)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, writer):
        connection = None
        number = 0
        while not self._stop.is_set():
            token = f"{self.run}-{writer}-{number}"
            number += 1
            try:
                if connection is None:
                    connection = self.cluster.connect(autocommit=False, connect_timeout=5, read_timeout=30)
                with connection.cursor() as cursor:
                    cursor.execute("INSERT INTO greetings (name, token) VALUES (%s, %s)", (f"world {token}", token))
                connection.commit()
                self.acknowledged.append(token)
            except (pymysql.MySQLError, OSError) as error:
                self.open.append(token)
                self.errors[" ".join(str(part) for part in error.args[:2])[:160]] += 1
                if connection is not None:
                    try:
                        connection.close()
                    except (pymysql.MySQLError, OSError):
                        pass
                    connection = None
                time.sleep(PAUSE_AFTER_ERROR)
        if connection is not None:
            connection.close()

    def rows(self, connection):
        """{token: how often it is there}, of this run only."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT token, COUNT(*) FROM greetings WHERE token LIKE %s GROUP BY token", (self.run + "-%",))
            return dict(cursor.fetchall())

    def verify(self, connection, where):
        """Fails when an acknowledged greeting is lost, or any is there twice."""
        rows = self.rows(connection)
        lost = [token for token in self.acknowledged if token not in rows]
        doubled = [token for token, count in rows.items() if count > 1]
        assert not lost, f"{where}: {len(lost)} of {len(self.acknowledged)} acknowledged greetings are lost: {lost[:5]}"
        assert not doubled, f"{where}: {len(doubled)} greetings are there more than once: {doubled[:5]}"

    def summary(self):
        errors = "".join(f"\n  {count} x {text}" for text, count in self.errors.most_common(12))
        return f"{len(self.acknowledged)} greetings acknowledged, {len(self.open)} left open{errors}"

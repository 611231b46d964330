"""Clients that write down what they did and saw: list-append and bank, through vtgate, with a stock driver that never
retries by itself."""

import collections
import random
import threading
import time

import pymysql
from history import FAILED, OK, UNKNOWN, Transaction

APPENDS_PER_KEY = 40  # then a new key, so that lists stay short
KEYS_IN_USE = 5
ACCOUNTS = 8
EACH = 100

# Drivers and users take these for "rolled back, try again"; everything else that hits a COMMIT leaves its outcome open.
ROLLED_BACK = {1213, 1205}


class Client(threading.Thread):
    """One connection after the other; ends when `stop` is set. What it did stands in `history`."""

    def __init__(self, cluster, number, stop, seed):
        super().__init__(name=f"client-{number}", daemon=True)
        self.cluster, self.number, self.stop = cluster, number, stop
        self.dice = random.Random(f"{seed}-{number}")
        self.connection = None
        self.history = []
        self.errors = collections.Counter()
        self.longest_gap, self.last_ok = 0.0, None

    def run(self):
        while not self.stop.is_set():
            try:
                if self.connection is None:
                    self.connection = self.cluster.connect(autocommit=True, connect_timeout=10, read_timeout=60)
                    self.prepare()
            except (pymysql.MySQLError, OSError) as error:
                self.note(error)
                self.drop()
                time.sleep(0.1)
                continue
            self.step()
        self.drop()

    def prepare(self):
        with self.connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE")

    def note(self, error):
        self.errors[" ".join(str(part) for part in error.args[:2])[:120]] += 1

    def succeeded(self):
        now = time.monotonic()
        if self.last_ok is not None:
            self.longest_gap = max(self.longest_gap, now - self.last_ok)
        self.last_ok = now

    def drop(self):
        if self.connection is not None:
            try:
                self.connection.close()
            except (pymysql.MySQLError, OSError):
                pass
        self.connection = None

    def attempt(self, body, commit):
        """Runs body(cursor, results), gives (outcome, results, note). `commit`: inside BEGIN and COMMIT."""
        results, committing = [], not commit
        try:
            with self.connection.cursor() as cursor:
                if commit:
                    cursor.execute("BEGIN")
                body(cursor, results)
                if commit:
                    committing = True
                    cursor.execute("COMMIT")
            self.succeeded()
            return OK, results, ""
        except (pymysql.MySQLError, OSError) as error:
            self.note(error)
            code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
            outcome = UNKNOWN if committing and code not in ROLLED_BACK else FAILED
            try:
                self.connection.rollback()
            except (pymysql.MySQLError, OSError):
                self.drop()
            time.sleep(0.02)
            return outcome, results, str(error)


class Lists(Client):
    """Reads and appends to lists; the numbers are its own, so that none is appended twice."""

    SCHEMA = ["CREATE TABLE IF NOT EXISTS lists (k INT PRIMARY KEY, v MEDIUMTEXT NOT NULL)"]

    def __init__(self, cluster, number, stop, seed, clients):
        super().__init__(cluster, number, stop, seed)
        self.clients = clients
        self.appended = 0

    def key(self):
        """All clients move to new keys at about the same time: by how much each has appended."""
        first = self.appended * self.clients // APPENDS_PER_KEY
        return first + self.dice.randrange(KEYS_IN_USE)

    def step(self):
        alone = self.dice.random() < 0.3
        operations, statements = [], []
        for _ in range(1 if alone else self.dice.randint(1, 4)):
            key = self.key()
            if self.dice.random() < 0.5:
                self.appended += 1
                number = self.appended * 1000 + self.number
                operations.append(("append", key, number))
                statements.append(("INSERT INTO lists VALUES (%s, %s) ON DUPLICATE KEY UPDATE v = CONCAT(v, ',', VALUES(v))",
                                   (key, str(number))))
            else:
                operations.append(("read", key, None))
                statements.append(("SELECT v FROM lists WHERE k = %s", (key,)))

        def body(cursor, results):
            for statement, arguments in statements:
                cursor.execute(statement, arguments)
                results.append(cursor.fetchall())

        began = time.monotonic()
        outcome, results, note = self.attempt(body, commit=not alone)
        told = []
        for operation, result in zip(operations, results):
            told.append(operation if operation[0] == "append" else ("read", operation[1], numbers_of(result)))
        told += [operation for operation in operations[len(results):] if operation[0] == "append"]
        self.history.append(Transaction(told, outcome, began, time.monotonic(), self.number, note))

    @staticmethod
    def final(connection):
        with connection.cursor() as cursor:
            cursor.execute("SELECT k, v FROM lists")
            return {key: numbers_of(((value,),)) for key, value in cursor.fetchall()}


def numbers_of(rows):
    return [int(number) for number in rows[0][0].split(",")] if rows else []


class Bank(Client):
    """Moves money between accounts; the total never changes, and no account goes below zero."""

    SCHEMA = ["CREATE TABLE IF NOT EXISTS accounts (id INT PRIMARY KEY, balance INT NOT NULL)",
              "INSERT IGNORE INTO accounts VALUES " + ", ".join(f"({n}, {EACH})" for n in range(ACCOUNTS))]

    def __init__(self, cluster, number, stop, seed, clients):
        super().__init__(cluster, number, stop, seed)
        del clients
        self.wrong = []

    def step(self):
        if self.dice.random() < 0.3:
            outcome, results, _ = self.attempt(self.read_all, commit=False)
            if outcome == OK:
                self.look(results[0])
            return
        source, target = self.dice.sample(range(ACCOUNTS), 2)
        amount = self.dice.randint(1, 10)

        def move(cursor, results):
            del results
            take = "UPDATE accounts SET balance = balance - %s WHERE id = %s AND balance >= %s"
            if cursor.execute(take, (amount, source, amount)) == 1:
                cursor.execute("UPDATE accounts SET balance = balance + %s WHERE id = %s", (amount, target))

        self.attempt(move, commit=True)

    @staticmethod
    def read_all(cursor, results):
        cursor.execute("SELECT id, balance FROM accounts")
        results.append(cursor.fetchall())

    def look(self, rows):
        balances = dict(rows)
        if sum(balances.values()) != ACCOUNTS * EACH or min(balances.values()) < 0:
            self.wrong.append(f"read {balances}: together {sum(balances.values())}, not {ACCOUNTS * EACH}")


class Load:
    """with Load(cluster, seed) as load: ...   Runs both workloads while entered."""

    def __init__(self, cluster, seed, lists=4, banks=2):
        self.stop = threading.Event()
        self.cluster = cluster
        self.lists = [Lists(cluster, n, self.stop, seed, lists) for n in range(lists)]
        self.banks = [Bank(cluster, 100 + n, self.stop, seed, banks) for n in range(banks)]

    def __enter__(self):
        with self.cluster.connect() as connection, connection.cursor() as cursor:
            for statement in Lists.SCHEMA + Bank.SCHEMA:
                cursor.execute(statement)
        for client in self.lists + self.banks:
            client.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for client in self.lists + self.banks:
            client.join(timeout=120)
            assert not client.is_alive(), f"{client.name} waits for ever"

    def history(self):
        return [each for client in self.lists for each in client.history]

    def done(self):
        return sum(each.outcome == OK for each in self.history())

    def errors(self):
        return sum((client.errors for client in self.lists + self.banks), collections.Counter())

    def longest_gap(self):
        return max(client.longest_gap for client in self.lists + self.banks)

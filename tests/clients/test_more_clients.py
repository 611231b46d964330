"""Clients beside the five languages of test_clients.py. `tools/setup --clients` installs them; what is missing is skipped."""

import os
import pathlib
import shutil

import pymysql
import pytest
from local_cluster import REPO, run
from test_clients import HERE, MYSQL, everyday, java_libraries  # noqa: F401 (a fixture)

pytestmark = pytest.mark.long
VENV = pathlib.Path(os.environ.get("PACELINE_TEST_VENV", REPO / ".cache/test-venv")) / "bin/python"


def program(name):
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} is missing: tools/setup --clients installs it")
    return found


def connect(gate, cluster, user="app"):
    return pymysql.connect(host="127.0.0.1", port=gate.port, user=user, password="secret", database=cluster.keyspace, charset="utf8mb4",
                           ssl={"check_hostname": False, "verify_mode": "none"})


@pytest.mark.parametrize("options", [(), ("tls",)])
def test_php(cluster, gate, options):
    assert run([program("php"), HERE / "php/client.php", "127.0.0.1", gate.port, "native", "secret", cluster.keyspace, *options]).strip() == "ok"


@pytest.mark.parametrize("options", [(), ("tls",)])
def test_ruby(cluster, gate, options):
    program("ruby")
    assert run(["ruby", HERE / "ruby/client.rb", "127.0.0.1", gate.port, "native", "secret", cluster.keyspace, *options]).split()[-1] == "ok"


@pytest.mark.parametrize("driver", ["mysql", "mariadb"])
def test_hikari_pool(cluster, gate, java_libraries, driver):  # noqa: F811
    url = (f"jdbc:{driver}://127.0.0.1:{gate.port}/{cluster.keyspace}?user=app&password=secret&allowPublicKeyRetrieval=true"
           + ("&sslMode=DISABLED" if driver == "mysql" else "&sslMode=disable"))
    assert run(["java", "-cp", f"{java_libraries}/*", HERE / "java/Pool.java", url], seconds=180).strip().splitlines()[-1] == "ok"


CONNECTOR = """
import sys, mysql.connector
sys.path[:0] = [{lib!r}, {here!r}]
from test_clients import everyday
everyday(lambda: mysql.connector.connect(host="127.0.0.1", port={port}, user="app", password="secret", database={database!r}, use_pure=True, {options}), "connector")
print("ok")
"""


@pytest.mark.parametrize("options", ["ssl_disabled=True", "ssl_verify_cert=False", "ssl_disabled=True, compress=True"])
def test_mysql_connector_python(cluster, gate, options, tmp_path):
    if not VENV.exists() or "mysql-connector" not in run([VENV, "-m", "pip", "list"], check=False):
        pytest.skip("MySQL Connector/Python is missing: tools/setup --clients installs it")
    script = tmp_path / "connector.py"
    script.write_text(CONNECTOR.format(lib=str(REPO / "tests/lib"), here=str(HERE), port=gate.port, database=cluster.keyspace, options=options))
    assert run([VENV, script]).strip() == "ok"


@pytest.mark.parametrize("driver", ["pymysql", "mysqldb"])
def test_sqlalchemy(cluster, gate, driver):
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is missing: tools/setup --clients installs it")
    from sqlalchemy import orm

    if driver == "mysqldb":
        pytest.importorskip("MySQLdb")
    Base = orm.declarative_base()

    class Person(Base):
        __tablename__ = "alchemy_people"
        id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
        name = sqlalchemy.Column(sqlalchemy.String(50), nullable=False, unique=True)
        data = sqlalchemy.Column(sqlalchemy.JSON)
        pets = orm.relationship("Pet", back_populates="owner", cascade="all, delete-orphan")

    class Pet(Base):
        __tablename__ = "alchemy_pets"
        id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
        owner_id = sqlalchemy.Column(sqlalchemy.ForeignKey("alchemy_people.id"))
        owner = orm.relationship(Person, back_populates="pets")

    engine = sqlalchemy.create_engine(f"mysql+{driver}://native:secret@127.0.0.1:{gate.port}/{cluster.keyspace}?charset=utf8mb4", pool_size=2)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add_all([Person(name=f"person {i}", data={"i": i}, pets=[Pet(), Pet()]) for i in range(20)])
        session.commit()
        session.add(Person(name="person 1"))
        with pytest.raises(sqlalchemy.exc.IntegrityError):
            session.flush()
        session.rollback()
        with session.begin_nested():
            session.add(Person(name="nested"))
        assert session.query(Person).count() == 21 and session.query(Pet).join(Person).filter(Person.name == "person 3").count() == 2
        assert session.query(Person).filter_by(name="person 7").one().data == {"i": 7} or cluster.flavor == "mariadb"
        session.commit()
    columns = {column["name"] for column in sqlalchemy.inspect(engine).get_columns("alchemy_people")}
    assert columns == {"id", "name", "data"}
    assert sqlalchemy.inspect(engine).get_foreign_keys("alchemy_pets")[0]["referred_table"] == "alchemy_people"
    Base.metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def some_tables(cluster, gate):
    connection = connect(gate, cluster)
    cursor = connection.cursor()
    for name in ("dump_b", "dump_a"):
        cursor.execute(f"DROP TABLE IF EXISTS {name}")
    cursor.execute("CREATE TABLE dump_a (id INT PRIMARY KEY AUTO_INCREMENT, s VARCHAR(50), b BLOB)")
    cursor.execute("CREATE TABLE dump_b (id INT PRIMARY KEY, a INT, CONSTRAINT dump_fk FOREIGN KEY (a) REFERENCES dump_a (id))")
    cursor.executemany("INSERT INTO dump_a (s, b) VALUES (%s, %s)", [(f"row '{i}'", bytes(range(256))) for i in range(500)])
    cursor.executemany("INSERT INTO dump_b VALUES (%s, %s)", [(i, i) for i in range(1, 500)])
    connection.commit()
    yield cursor
    for name in ("dump_b", "dump_a"):
        cursor.execute(f"DROP TABLE IF EXISTS {name}")
    connection.close()


def sums(cursor):
    found = []
    for query in ("SELECT COUNT(*), SUM(CRC32(CONCAT(id, s, HEX(b)))) FROM dump_a", "SELECT COUNT(*), SUM(a) FROM dump_b"):
        cursor.execute(query)
        found.append(cursor.fetchone())
    return found


def test_mysqldump(cluster, gate, some_tables, tmp_path):
    """Dumped through vtgate by the server's own program, and loaded through it again."""
    before = sums(some_tables)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(MYSQL.parents[1] / "lib")}
    login = ["-h127.0.0.1", f"-P{gate.port}", "-uapp", "-psecret"]
    dump = MYSQL.with_name("mysqldump")
    if not dump.exists():
        pytest.skip("this MySQL has no mysqldump")
    options = ["--single-transaction", "--set-gtid-purged=OFF", "--no-tablespaces", "--column-statistics=0"]
    text = run([dump, *login, *options, cluster.keyspace, "dump_a", "dump_b"], env=environment)
    assert "CREATE TABLE `dump_a`" in text and "vt_" not in text
    for name in ("dump_b", "dump_a"):
        some_tables.execute(f"DROP TABLE {name}")
    (tmp_path / "dump.sql").write_text(text)
    run([MYSQL, *login, cluster.keyspace, "-e", f"source {tmp_path}/dump.sql"], env=environment)
    some_tables.connection.rollback()
    assert sums(some_tables) == before


def test_mydumper(cluster, gate, some_tables, tmp_path):
    before = sums(some_tables)
    login = ["-h", "127.0.0.1", "-P", gate.port, "-u", "native", "-p", "secret", "-B", cluster.keyspace]
    run([program("mydumper"), *login, "-T", "dump_a,dump_b", "-o", tmp_path / "out", "-t", "2", "--no-locks", "--trx-consistency-only"], check=False)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert f"{cluster.keyspace}.dump_a-schema.sql" in names, names
    for name in ("dump_b", "dump_a"):
        some_tables.execute(f"DROP TABLE {name}")
    run([program("myloader"), *login, "-d", tmp_path / "out", "-t", "1"])
    some_tables.connection.rollback()
    assert sums(some_tables) == before


@pytest.mark.parametrize("mode", ["auto", "disable"])
def test_sysbench(cluster, gate, mode):
    command = [program("sysbench"), "oltp_read_write", "--mysql-host=127.0.0.1", f"--mysql-port={gate.port}", "--mysql-user=native",
               "--mysql-password=secret", f"--mysql-db={cluster.keyspace}", "--tables=2", "--table-size=5000", "--threads=4", "--events=200",
               "--time=0", f"--db-ps-mode={mode}"]
    run([*command, "cleanup"])
    run([*command, "prepare"], seconds=120)
    out = run([*command, "run"], seconds=120)
    assert "FATAL" not in out and "reconnects:                          0" in out, out  # deadlocks are ignored by it
    run([*command, "cleanup"])


def test_blobs_of_64_megabytes(cluster, gate):
    connection = pymysql.connect(host="127.0.0.1", port=gate.port, user="app", password="secret", database=cluster.keyspace,
                                 ssl={"check_hostname": False, "verify_mode": "none"}, max_allowed_packet=256 << 20)
    cursor = connection.cursor()
    cursor.execute("SELECT @@max_allowed_packet")
    allowed = cursor.fetchone()[0]
    cursor.execute("DROP TABLE IF EXISTS big")
    cursor.execute("CREATE TABLE big (id INT PRIMARY KEY, b LONGBLOB)")
    size = min(64 << 20, allowed - 4096)
    cursor.execute(f"INSERT INTO big VALUES (1, REPEAT('x', {size}))")
    cursor.execute("SELECT b FROM big")
    assert len(cursor.fetchone()[0]) == size
    cursor.execute("INSERT INTO big VALUES (2, %s)", ("y" * size,))
    cursor.execute("SELECT LENGTH(b), CRC32(b) = CRC32(REPEAT('y', %s)) FROM big WHERE id = 2", (size,))
    assert cursor.fetchone() == (size, 1)
    cursor.execute("DROP TABLE big")
    connection.close()

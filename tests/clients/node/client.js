// Everyday work through mysql2. Arguments: host port user password database [tls] [compress]; prints "ok" when all held.
const assert = require("node:assert");
const mysql = require("mysql2/promise");

async function work() {
  const [host, port, user, password, database, ...options] = process.argv.slice(2);
  const connection = await mysql.createConnection({
    host, port: Number(port), user, password, database, multipleStatements: true, supportBigNumbers: true, bigNumberStrings: true, dateStrings: true,
    ssl: options.includes("tls") ? { rejectUnauthorized: false } : undefined, compress: options.includes("compress"),
  });
  await connection.query("DROP TABLE IF EXISTS node_types");
  await connection.query("CREATE TABLE node_types (id BIGINT PRIMARY KEY AUTO_INCREMENT, i INT, u BIGINT UNSIGNED, d DECIMAL(20,5), f DOUBLE," +
    " s VARCHAR(100), b LONGBLOB, t DATETIME(6), j JSON)");
  const blob = Buffer.alloc(3000000, "\u0000node\u00ff", "latin1");
  const values = [-5, "9223372036854775808", "12.34500", 1.5, "gr\u00fc\u00dfe '\\ \u2603", blob, "2024-02-29 10:11:12.123456", '{"a": 1}'];
  const insert = "INSERT INTO node_types (i, u, d, f, s, b, t, j) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
  for (const run of ["query", "execute"]) {
    const [result] = await connection[run](insert, values);
    assert.strictEqual(result.affectedRows, 1);
    const [[row]] = await connection[run]("SELECT * FROM node_types WHERE id = ?", [result.insertId]);
    assert.deepStrictEqual([row.i, row.u, row.d, row.f, row.s, row.t], [...values.slice(0, 5), values[6]]);
    assert.ok(blob.equals(row.b));
    await assert.rejects(connection[run]("INSERT INTO node_types (id) VALUES (?)", [result.insertId]), { errno: 1062, sqlState: "23000" });
    await assert.rejects(connection[run]("SELECT nope FROM node_types"), { errno: 1054 });
  }
  await connection.beginTransaction();
  await connection.query("INSERT INTO node_types (i) VALUES ?", [[[1], [2], [3]]]);
  await connection.rollback();
  const [[{ n }]] = await connection.query("SELECT COUNT(*) AS n FROM node_types");
  assert.strictEqual(Number(n), 2);
  const [many] = await connection.query("SELECT 1 AS a; SELECT 2 AS b; SELECT 3 AS c");
  assert.deepStrictEqual(many.map(([row]) => Number(Object.values(row)[0])), [1, 2, 3]);
  const statement = await connection.prepare("SELECT ? AS x");
  for (const x of [1, "two", null]) assert.strictEqual((await statement.execute([x]))[0][0].x, x);
  await statement.close();
  await connection.changeUser({ user, password, database });
  await connection.ping();
  await connection.query("DROP TABLE node_types");
  await connection.end();
  console.log("ok");
}

work().catch((error) => { console.error(error); process.exit(1); });

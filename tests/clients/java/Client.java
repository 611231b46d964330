import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;

/** Everyday work through a JDBC driver. Argument: the whole URL. Prints "ok" when all held. */
public final class Client {
  public static void main(String[] arguments) throws Exception {
    try (Connection connection = DriverManager.getConnection(arguments[0])) {
      run(connection, "DROP TABLE IF EXISTS java_types");
      run(connection, "CREATE TABLE java_types (id BIGINT PRIMARY KEY AUTO_INCREMENT, i INT, u BIGINT UNSIGNED, d DECIMAL(20,5), f DOUBLE,"
          + " s VARCHAR(100), b LONGBLOB, t DATETIME(6), j JSON)");
      byte[] blob = new byte[3_000_000];
      for (int i = 0; i < blob.length; i++) blob[i] = (byte) (i * 7);
      String insert = "INSERT INTO java_types (i, u, d, f, s, b, t, j) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
      for (int round = 1; round <= 2; round++) {
        try (PreparedStatement statement = connection.prepareStatement(insert, Statement.RETURN_GENERATED_KEYS)) {
          statement.setInt(1, -5);
          statement.setBigDecimal(2, new java.math.BigDecimal("9223372036854775808"));
          statement.setBigDecimal(3, new java.math.BigDecimal("12.34500"));
          statement.setDouble(4, 1.5);
          statement.setString(5, "gr\u00fc\u00dfe '\\ \u2603");
          statement.setBytes(6, blob);
          statement.setString(7, "2024-02-29 10:11:12.123456");
          statement.setString(8, "{\"a\": 1}");
          expect(statement.executeUpdate() == 1, "one row");
          ResultSet keys = statement.getGeneratedKeys();
          expect(keys.next() && keys.getLong(1) == round, "generated key");
        }
      }
      try (PreparedStatement select = connection.prepareStatement("SELECT * FROM java_types WHERE id = ?")) {
        for (int round = 1; round <= 2; round++) {
          select.setLong(1, round);
          ResultSet row = select.executeQuery();
          expect(row.next(), "a row");
          expect(row.getInt("i") == -5 && row.getString("u").equals("9223372036854775808"), "integers");
          expect(row.getBigDecimal("d").toPlainString().equals("12.34500") && row.getDouble("f") == 1.5, "fractions");
          expect(row.getString("s").equals("gr\u00fc\u00dfe '\\ \u2603"), "text " + row.getString("s"));
          expect(Arrays.equals(row.getBytes("b"), blob), "blob");
          expect(row.getTimestamp("t").getNanos() == 123456000, "time " + row.getTimestamp("t"));
        }
      }
      try (PreparedStatement batch = connection.prepareStatement("INSERT INTO java_types (i, s) VALUES (?, ?)")) {
        for (int i = 0; i < 200; i++) {
          batch.setInt(1, i);
          batch.setString(2, "batch");
          batch.addBatch();
        }
        expect(batch.executeBatch().length == 200, "batch");
      }
      try (PreparedStatement all = connection.prepareStatement("SELECT id FROM java_types ORDER BY id")) {
        all.setFetchSize(10);
        ResultSet rows = all.executeQuery();
        int count = 0;
        while (rows.next()) count++;
        expect(count == 202, "rows by a cursor: " + count);
      }
      expectError(connection, "INSERT INTO java_types (id) VALUES (1)", 1062, "23000");
      expectError(connection, "SELECT nope FROM java_types", 1054, "42S22");
      connection.setAutoCommit(false);
      connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
      run(connection, "DELETE FROM java_types");
      connection.rollback();
      connection.setAutoCommit(true);
      ResultSet count = connection.createStatement().executeQuery("SELECT COUNT(*) FROM java_types");
      expect(count.next() && count.getInt(1) == 202, "rollback");
      ResultSet columns = connection.getMetaData().getColumns(connection.getCatalog(), null, "java_types", "%");
      int seen = 0;
      while (columns.next()) seen++;
      expect(seen == 9, "columns by metadata: " + seen);
      ResultSet tables = connection.getMetaData().getTables(connection.getCatalog(), null, "java\\_types", null);
      expect(tables.next() && tables.getString("TABLE_CAT").equals(connection.getCatalog()), "a table by metadata");
      run(connection, "DROP TABLE java_types");
    }
    System.out.println("ok");
  }

  private static void run(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  private static void expectError(Connection connection, String sql, int number, String state) throws SQLException {
    try {
      run(connection, sql);
    } catch (SQLException error) {
      expect(error.getErrorCode() == number && error.getSQLState().equals(state), sql + ": " + error);
      return;
    }
    throw new IllegalStateException(sql + " has succeeded");
  }

  private static void expect(boolean held, String what) {
    if (!held) throw new IllegalStateException(what);
  }
}

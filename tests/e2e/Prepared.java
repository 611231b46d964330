import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.Statement;
import java.util.Properties;

/** Server-side prepared statements through Connector/J. Argument: host:port/keyspace. Prints "ok" when all held. */
public final class Prepared {
  public static void main(String[] arguments) throws Exception {
    Properties options = new Properties();
    options.put("user", "root");
    options.put("useServerPrepStmts", "true");
    options.put("cachePrepStmts", "true");
    try (Connection connection = DriverManager.getConnection("jdbc:mysql://" + arguments[0], options)) {
      long first = insert(connection, "ada", "prepared-1");
      long second = insert(connection, "grace \u2603 \\'\"", "prepared-2");
      expect(second > first, "generated keys grow");
      try (PreparedStatement select =
          connection.prepareStatement("SELECT name, token, id, greeted_at, NULL FROM greetings WHERE id = ?")) {
        for (int round = 0; round < 3; round++) { // the same statement, run again
          expectRow(select, first, "ada", "prepared-1");
          expectRow(select, second, "grace \u2603 \\'\"", "prepared-2");
        }
      }
      types(connection);
      try (PreparedStatement wrong = connection.prepareStatement("SELECT nothing_such FROM greetings WHERE id = ?")) {
        wrong.setLong(1, 1);
        wrong.executeQuery();
        expect(false, "an unknown column is an error");
      } catch (java.sql.SQLException failure) {
        expect(failure.getErrorCode() == 1054, "errno of an unknown column: " + failure);
      }
      connection.setAutoCommit(false);
      long undone = insert(connection, "never", "prepared-3");
      connection.rollback();
      try (PreparedStatement select = connection.prepareStatement("SELECT COUNT(*) FROM greetings WHERE id = ?")) {
        select.setLong(1, undone);
        ResultSet rows = select.executeQuery();
        expect(rows.next() && rows.getInt(1) == 0, "a prepared insert is rolled back");
      }
    }
    System.out.println("ok");
  }


  private static long insert(Connection connection, String name, String token) throws Exception {
    String sql = "INSERT INTO greetings (name, token) VALUES (?, ?)";
    try (PreparedStatement statement = connection.prepareStatement(sql, Statement.RETURN_GENERATED_KEYS)) {
      statement.setString(1, name);
      statement.setString(2, token);
      expect(statement.executeUpdate() == 1, "one row inserted");
      ResultSet keys = statement.getGeneratedKeys();
      expect(keys.next(), "a generated key");
      return keys.getLong(1);
    }
  }

  private static void expectRow(PreparedStatement select, long id, String name, String token) throws Exception {
    select.setLong(1, id);
    try (ResultSet rows = select.executeQuery()) {
      expect(rows.next(), "a row of id " + id);
      expect(rows.getString(1).equals(name), "name: " + rows.getString(1));
      expect(rows.getString(2).equals(token), "token: " + rows.getString(2));
      expect(rows.getLong(3) == id, "id: " + rows.getLong(3));
      expect(rows.getTimestamp(4) != null, "a time");
      expect(rows.getObject(5) == null, "NULL");
      expect(!rows.next(), "one row only");
    }
  }

  private static void types(Connection connection) throws Exception {
    try (PreparedStatement echo = connection.prepareStatement("SELECT ? + 1, ?, ?, LENGTH(?)")) {
      echo.setInt(1, 41);
      echo.setDouble(2, 2.5);
      echo.setNull(3, java.sql.Types.VARCHAR);
      echo.setBytes(4, new byte[70_000]);
      ResultSet rows = echo.executeQuery();
      expect(rows.next() && rows.getInt(1) == 42, "an int parameter");
      expect(rows.getDouble(2) == 2.5, "a double parameter");
      expect(rows.getString(3) == null, "a NULL parameter");
      expect(rows.getInt(4) == 70_000, "a long parameter");
    }
  }

  private static void expect(boolean holds, String what) {
    if (!holds) {
      throw new AssertionError(what);
    }
  }
}

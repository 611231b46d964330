import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

/**
 * Inserts by server-side prepared statements through Connector/J until its standard input ends: alone and in transactions, by
 * turns. Argument: host:port/keyspace. Prints "done TOKEN" for each that was acknowledged, and "error ..." and ends at the
 * first error.
 */
public final class PreparedLoad {
  public static void main(String[] arguments) throws Exception {
    Properties options = new Properties();
    options.put("user", "root");
    options.put("useServerPrepStmts", "true");
    options.put("cachePrepStmts", "true");
    try (Connection connection = DriverManager.getConnection("jdbc:mysql://" + arguments[0], options);
        PreparedStatement insert =
            connection.prepareStatement(
                "INSERT INTO greetings (name, token) VALUES (?, ?)", Statement.RETURN_GENERATED_KEYS);
        PreparedStatement select = connection.prepareStatement("SELECT token FROM greetings WHERE id = ?")) {
      for (int step = 0; !closed; step++) {
        boolean transaction = step % 2 == 1;
        String token = "prepared-" + step;
        if (transaction) connection.setAutoCommit(false);
        insert.setString(1, "prepared");
        insert.setString(2, token);
        if (insert.executeUpdate() != 1) throw new SQLException("not one row inserted");
        ResultSet keys = insert.getGeneratedKeys();
        if (!keys.next()) throw new SQLException("no generated key");
        select.setLong(1, keys.getLong(1));
        ResultSet rows = select.executeQuery();
        if (!rows.next() || !rows.getString(1).equals(token)) throw new SQLException("the row is not the one inserted");
        if (transaction) {
          connection.commit();
          connection.setAutoCommit(true);
        }
        System.out.println("done " + token);
        Thread.sleep(5);
      }
    } catch (SQLException failure) {
      System.out.println("error " + failure.getErrorCode() + " " + failure.getSQLState() + " " + failure.getMessage());
    }
  }

  private static volatile boolean closed = false;

  static {
    Thread watch =
        new Thread(
            () -> {
              try {
                while (System.in.read() >= 0) {}
              } catch (java.io.IOException failure) {
                System.out.println("error " + failure);
              }
              closed = true;
            });
    watch.setDaemon(true);
    watch.start();
  }
}

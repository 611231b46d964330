package me.horlick.helloworld;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/** Greetings over the MySQL protocol: Connector/J behind a pool, as an ordinary application has it. */
final class GreetingsRepositoryMySQL implements GreetingsRepository {
  private static final String INSERT = "INSERT INTO greetings (name, token) VALUES (?, ?)";
  private static final String READ_BACK = "SELECT token FROM greetings WHERE id = ?";

  private final HikariDataSource pool;

  GreetingsRepositoryMySQL(String jdbcUrl, String user, String password, int connections) {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(jdbcUrl);
    config.setUsername(user);
    config.setPassword(password);
    config.setMaximumPoolSize(connections);
    config.setAutoCommit(false);
    config.setConnectionTimeout(10_000);
    // The pool may be opened while the cluster is still on its way up; the first greeting then says so.
    config.setInitializationFailTimeout(-1);
    pool = new HikariDataSource(config);
  }

  @Override
  public long insertGreet(String name, String token) throws StorageException {
    try (Connection connection = pool.getConnection()) {
      try {
        long id = insert(connection, name, token);
        String stored = readBack(connection, id);
        if (!token.equals(stored)) {
          throw new SQLException("row " + id + " holds token " + stored + ", not the one just stored: " + token);
        }
        connection.commit();
        return id;
      } catch (SQLException failure) {
        rollBack(connection, failure);
        throw failure;
      }
    } catch (SQLException failure) {
      throw new StorageException(describe(failure), failure);
    }
  }

  /** The database's own words. The pool's time-outs wrap them: "no connection" alone would not say why. */
  private static String describe(SQLException failure) {
    SQLException said = failure.getCause() instanceof SQLException ? (SQLException) failure.getCause() : failure;
    String text = said.getMessage() + " (errno " + said.getErrorCode() + ", SQLSTATE " + said.getSQLState() + ")";
    return said == failure ? text : failure.getMessage() + ": " + text;
  }

  private static long insert(Connection connection, String name, String token) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(INSERT, Statement.RETURN_GENERATED_KEYS)) {
      statement.setString(1, name);
      statement.setString(2, token);
      if (statement.executeUpdate() != 1) {
        throw new SQLException("the insert did not report one row");
      }
      try (ResultSet keys = statement.getGeneratedKeys()) {
        if (!keys.next()) {
          throw new SQLException("the insert reported no generated key");
        }
        return keys.getLong(1);
      }
    }
  }

  private static String readBack(Connection connection, long id) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(READ_BACK)) {
      statement.setLong(1, id);
      try (ResultSet rows = statement.executeQuery()) {
        return rows.next() ? rows.getString(1) : null;
      }
    }
  }

  private static void rollBack(Connection connection, SQLException failure) {
    try {
      connection.rollback();
    } catch (SQLException second) {
      failure.addSuppressed(second);
    }
  }

  @Override
  public void close() {
    pool.close();
  }
}
